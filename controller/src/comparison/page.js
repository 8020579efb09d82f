const search = document.getElementById("search");
const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
const texts = new Map(all(".object").map((object) => [object, object.textContent.toLowerCase()]));
function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const [object, text] of texts) object.hidden = !words.every((word) => text.includes(word));
  for (const part of all(".kustomization, .environment")) {
    const objects = all(".object", part);
    part.hidden = words.length > 0 && objects.every((object) => object.hidden);
  }
  const shown = Array.from(texts.keys()).filter((object) => !object.hidden).length;
  document.getElementById("found").textContent = words.length ? shown + " of " + texts.size : "";
}
search.addEventListener("input", filter);
document.getElementById("open").addEventListener("click", () => all("details").forEach((it) => (it.open = true)));
document.getElementById("close").addEventListener("click", () => all("details").forEach((it) => (it.open = false)));
