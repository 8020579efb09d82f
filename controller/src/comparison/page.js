const search = document.getElementById("search");
const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
// An object is found by what is told of it, and by where it is.
const names = (object) => [".environment", ".kustomization"].map((part) => object.closest(part).dataset.name);
const text = (object) => [...names(object), object.textContent].join(" ").toLowerCase();
const texts = new Map(all(".object").map((object) => [object, text(object)]));
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
// What is searched for is part of the address, so that a link leads to what it is about.
search.value = new URLSearchParams(location.hash.slice(1)).get("search") ?? "";
filter();
search.addEventListener("input", () => {
  filter();
  history.replaceState(null, "", "#" + new URLSearchParams({ search: search.value }));
});
document.getElementById("open").addEventListener("click", () => all("details").forEach((it) => (it.open = true)));
document.getElementById("close").addEventListener("click", () => all("details").forEach((it) => (it.open = false)));
