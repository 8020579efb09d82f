//! `${var}` substitution in finished objects, in Flux's dialect.
//!
//! As in Flux, it runs on the text that a build prints, and what comes out is read as Kubernetes reads YAML:
//! quotes in that text decide the types. An object without `$` is passed on as it is.

mod adopt;
mod expand;
mod functions;
mod glob;
#[cfg(test)]
mod properties;
mod steps;
mod template;
mod variables;

use crate::build::Build;
use crate::error::{Error, Errors, Place};
use crate::files::Files;
use crate::object::{Object, ObjectId};
use crate::yaml::{Dialect, Mark, Node, Source, Value, read, write_documents_revealed};

use adopt::{KeyOfSecret, adopt, has_secret_part};
use expand::{Refusal, expand};
use steps::Steps;
pub use variables::{Unset, Variable, Variables};

/// The label or annotation that switches substitution off for an object, with the value `disabled`.
pub const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// Replaces the variables in all objects. In strict mode an unset variable without a default is an error.
/// Each object with a mistake gives one error.
pub fn substitute(
    objects: Vec<Object>,
    variables: &Variables,
    strict: bool,
) -> Result<Vec<Object>, Errors> {
    let substitution = Substitution {
        variables,
        strict,
        files: &Files::default(),
        steps: Steps::new(variables.steps),
    };
    substitution.all(objects)
}

impl Build {
    /// The same for the objects of a build, whose errors then name the file of a patched scalar, too. Gives the steps
    /// that it took.
    pub fn substitute(&mut self, variables: &Variables, strict: bool) -> Result<usize, Errors> {
        let substitution = Substitution {
            variables,
            strict,
            files: &self.files,
            steps: Steps::new(variables.steps),
        };
        self.objects = substitution.all(std::mem::take(&mut self.objects))?;
        Ok(variables.steps - substitution.steps.left())
    }
}

/// What all objects are substituted with.
struct Substitution<'a> {
    variables: &'a Variables,
    strict: bool,
    /// The files that marks mean.
    files: &'a Files,
    /// What is left for all objects.
    steps: Steps,
}

impl Substitution<'_> {
    fn all(&self, objects: Vec<Object>) -> Result<Vec<Object>, Errors> {
        let mut errors = self.variables.check_names();
        if !errors.is_empty() {
            return Err(Errors(errors));
        }
        let mut done = Vec::with_capacity(objects.len());
        for object in objects {
            match self.one(object) {
                Ok(object) => done.push(object),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(done)
        } else {
            Err(Errors(errors))
        }
    }

    fn one(&self, object: Object) -> Result<Object, Error> {
        if !has_expression(&object.node) || is_disabled(&object.node) {
            return Ok(object);
        }
        let text = write_documents_revealed(&[&object.node]);
        let text = expand(&text, self.variables, self.strict, &self.steps)
            .map_err(|refusal| self.explain(&object, &refusal))?;
        let mut node = read_back(&object, &text, self.variables)?;
        adopt(&mut node, &object.node, self.variables).map_err(|KeyOfSecret| {
            at_object(
                &object,
                "would have part of a secret variable's value as a key",
            )
            .hint("put the expression in quotes")
        })?;
        let Some(id) = ObjectId::of(&node) else {
            return Err(at_object(
                &object,
                "has no apiVersion, kind or name after substitution",
            ));
        };
        Ok(Object { id, node, ..object })
    }

    /// A refusal with the scalar that caused it. Text that is secret is not quoted, so neither is a name in it.
    fn explain(&self, object: &Object, refusal: &Refusal) -> Error {
        let steps = Steps::new(self.variables.steps);
        let refuses =
            |text: &str, want_same: bool| match expand(text, self.variables, self.strict, &steps) {
                Err(found) => !want_same || found == *refusal,
                Ok(_) => false,
            };
        let culprit = find_scalar(&object.node, &|text| refuses(text, true))
            .or_else(|| find_scalar(&object.node, &|text| refuses(text, false)));
        let message = match (culprit, refusal) {
            (Some((_, true)), Refusal::NotSet(_)) => "variable not set (strict mode)".to_owned(),
            (Some((_, true)), Refusal::Operator { failure, .. }) => failure.to_string(),
            _ => refusal.to_string(),
        };
        let place = culprit.and_then(|(mark, _)| self.place(object, mark));
        Error::new(format!("{}: {message}", object.id))
            .at(place.unwrap_or_else(|| object.origin.place.clone()))
            .during("substitute variables")
            .hint("write `$$` for a dollar sign that is none of Flux's")
    }

    /// Where a mark is, as far as that is known: at least the object's own file is.
    fn place(&self, object: &Object, mark: Mark) -> Option<Place> {
        let file = match self.files.path(mark) {
            Some(file) => file,
            None if mark.file == 0 || mark.file != object.node.mark.file => return None,
            None => object.origin.place.file.clone(),
        };
        Some(Place {
            file,
            line: mark.line,
            column: mark.column.into(),
        })
    }
}

/// Whether some scalar or key has a dollar sign, and so perhaps an expression of a variable.
pub fn has_expression(node: &Node) -> bool {
    match &node.value {
        Value::Sequence(items) => items.iter().any(has_expression),
        Value::Mapping(mapping) => mapping
            .iter()
            .any(|(key, value)| key.text.contains('$') || has_expression(value)),
        Value::Scalar(_) | Value::Secret(_) => {
            node.exposed().is_some_and(|text| text.contains('$'))
        }
    }
}

/// Whether an object says of itself that no variables are put into it.
pub fn is_disabled(node: &Node) -> bool {
    ["labels", "annotations"]
        .iter()
        .any(|field| node.find_str(&["metadata", field, SUBSTITUTE]) == Some("disabled"))
}

/// The one mapping that the substituted text must be.
fn read_back(object: &Object, text: &str, variables: &Variables) -> Result<Node, Error> {
    let source = Source {
        file: object.node.mark.file,
        dialect: Dialect::Kubernetes,
        ..Source::default()
    };
    let broken = match read(text.as_bytes(), &source) {
        Ok(mut documents) => match documents.pop() {
            Some(node) if documents.is_empty() && node.as_mapping().is_some() => return Ok(node),
            Some(_) if documents.is_empty() => "is no mapping after substitution".to_owned(),
            _ => "is not one document after substitution".to_owned(),
        },
        Err(problem) if has_secret_part(&object.node, variables) => {
            format!(
                "is no YAML after substitution (line {} of it as printed)",
                problem.line
            )
        }
        Err(problem) => format!(
            "is no YAML after substitution: {} (line {} of it as printed)",
            problem.kind, problem.line
        ),
    };
    Err(at_object(object, &broken).hint("quote the expression, or the value of the variable"))
}

fn at_object(object: &Object, what: &str) -> Error {
    Error::new(format!("{} {what}", object.id)).at(object.origin.place.clone())
}

/// The place of the first scalar or key that the test accepts, and whether it is secret.
fn find_scalar(node: &Node, accepts: &dyn Fn(&str) -> bool) -> Option<(Mark, bool)> {
    match &node.value {
        Value::Sequence(items) => items.iter().find_map(|item| find_scalar(item, accepts)),
        Value::Mapping(mapping) => mapping.iter().find_map(|(key, value)| {
            let found = accepts(&key.text).then_some((key.mark, false));
            found.or_else(|| find_scalar(value, accepts))
        }),
        Value::Scalar(_) | Value::Secret(_) => node
            .exposed()
            .is_some_and(accepts)
            .then_some((node.mark, node.is_secret())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Origin;
    use crate::yaml::{Secret, Style, Tag, read_documents, write_documents};

    fn object(text: &str) -> Object {
        let node = read_documents(text.as_bytes(), 1, Dialect::Kustomize)
            .expect("the test's YAML is right")
            .remove(0);
        let place = Place {
            file: "app/config.yaml".into(),
            line: 1,
            column: 1,
        };
        let origin = Origin {
            place,
            ..Origin::default()
        };
        Object {
            id: ObjectId::of(&node).expect("an identity"),
            node,
            origin,
        }
    }

    fn config_map(data: &str) -> Object {
        object(&format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n{data}"
        ))
    }

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let mut variables = Variables::default();
        for (name, value) in pairs {
            variables.set(name, value, name.starts_with("secret"), "inline");
        }
        variables
    }

    fn data(object: Object, pairs: &[(&str, &str)]) -> String {
        let objects = substitute(vec![object], &variables(pairs), true).expect("it substitutes");
        let node = objects[0].node.get("data").expect("data");
        write_documents(&[node])
    }

    #[test]
    fn the_printed_text_decides_types() {
        let pairs = [
            ("n", "5"),
            ("q", "\""),
            ("list", "[a, b]"),
            ("yes", "yes"),
            ("map", "{x: 1}"),
        ];
        let cases = [
            ("  a: ${n}", "a: 5\n"),
            ("  a: \"${n}\"", "a: 5\n"),
            ("  a: ${q}${n}${q}", "a: \"5\"\n"),
            ("  a: x${n}", "a: x5\n"),
            ("  a: ${yes}", "a: true\n"),
            ("  a: ${list}", "a:\n- a\n- b\n"),
            ("  a: ${map}", "a:\n  x: 1\n"),
            ("  a: |\n    one ${n}\n    two\n", "a: |\n  one 5\n  two\n"),
            ("  ${yes}x: b", "yesx: b\n"),
            ("  a: ${unset:=}", "a: null\n"),
            ("  a: $${n} $n", "a: ${n} $n\n"),
        ];
        for (text, want) in cases {
            assert_eq!(data(config_map(text), &pairs), want, "{text}");
        }
    }

    #[test]
    fn identity_follows_the_text() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '${secret_name}-x'}\n";
        let set = variables(&[("secret_name", "prod")]);
        let objects = substitute(vec![object(text)], &set, true).expect("it substitutes");
        assert_eq!(objects[0].id.name, "prod-x");
        assert_eq!(
            objects[0].node.find_str(&["metadata", "name"]),
            Some("prod-x")
        );
    }

    #[test]
    fn objects_without_dollar_and_disabled_ones_stay() {
        for text in [
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: 'yes'}\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    kustomize.toolkit.fluxcd.io/substitute: disabled\ndata: {a: '${x}'}\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    kustomize.toolkit.fluxcd.io/substitute: disabled\ndata: {a: '${x'}\n",
        ] {
            let before = object(text);
            let after = substitute(vec![before.clone()], &Variables::default(), true);
            assert_eq!(after.expect("it stays")[0].node, before.node, "{text}");
        }
    }

    #[test]
    fn errors_name_object_line_and_variable() {
        let objects = vec![
            config_map("  a: 1\n  b: ${missing}"),
            config_map("  a: ok"),
            config_map("  a: ${b.c}"),
        ];
        let errors = substitute(objects, &Variables::default(), true).expect_err("two mistakes");
        let lines: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].starts_with(
                "app/config.yaml:6:6: substitute variables: ConfigMap/c: variable not set (strict mode): \"missing\""
            ),
            "{}",
            lines[0]
        );
        assert!(lines[1].starts_with("app/config.yaml:5:6:"), "{}", lines[1]);
        assert!(lines[1].contains("missing closing brace"), "{}", lines[1]);
    }

    #[test]
    fn what_asks_for_too_much_ends() {
        let mut set = variables(&[("long", &"x".repeat(1 << 20))]);
        let many = config_map(&format!("  a: \"{}\"", "${long}".repeat(1000)));
        let pattern = config_map(&format!("  a: \"${{long#*{}}}\"", "?x".repeat(1000)));
        for object in [many, pattern] {
            let errors = substitute(vec![object.clone()], &set, true).expect_err("too much");
            let said = errors.to_string();
            assert!(said.starts_with("app/config.yaml:5:6: "), "{said}");
            assert!(said.contains("budget of steps: \"long\""), "{said}");
        }
        // All objects share the budget, and whoever calls decides how large it is.
        let one = config_map("  a: ${long}");
        let all = |set: &Variables| substitute(vec![one.clone(), one.clone()], set, true).is_ok();
        assert!(all(&set));
        set.steps = 3 << 20;
        assert!(!all(&set));
    }

    #[test]
    fn broken_results_and_invalid_names_are_refused() {
        for (value, text) in [("a: b: c", "  a: ${v}"), ("'", "  a: 'x ${v}: 1'")] {
            let result = substitute(vec![config_map(text)], &variables(&[("v", value)]), true);
            assert!(result.is_err(), "{value} in {text}");
        }
        for name in ["1a", "a-b", "", "a.b", "é"] {
            let errors = substitute(Vec::new(), &variables(&[(name, "x")]), true);
            assert!(errors.is_err(), "{name:?}");
        }
        assert!(substitute(Vec::new(), &variables(&[("_a1", "x")]), true).is_ok());
    }

    #[test]
    fn secrets_stay_secret() {
        let pairs = [
            ("secret_word", "hidden"),
            ("secret_list", "[hidden, b]"),
            ("open", "seen"),
        ];
        let cases = [
            ("  a: ${secret_word}\n  b: ${open}", "a: '***'\nb: seen\n"),
            ("  a: x ${unset:=${secret_word}}", "a: '***'\n"),
            (
                "  a: ${secret_list}\n  b: c",
                "a:\n- '***'\n- '***'\nb: c\n",
            ),
            ("  a: ${#secret_word}", "a: '***'\n"),
        ];
        for (text, want) in cases {
            assert_eq!(data(config_map(text), &pairs), want, "{text}");
        }
    }

    #[test]
    fn a_secret_scalar_stays_secret_and_unquoted() {
        let mut before = config_map("  a: x");
        let secret = Secret::new("pass${open}".into(), Tag::Str, Style::Plain);
        if let Some(node) = before
            .node
            .get_mut("data")
            .and_then(|data| data.get_mut("a"))
        {
            node.value = Value::Secret(secret);
        }
        assert_eq!(data(before.clone(), &[("open", "word")]), "a: '***'\n");
        let objects = substitute(vec![before.clone()], &variables(&[("open", "word")]), true);
        let node = objects.expect("it substitutes")[0].node.clone();
        let exposed = node.find(&["data", "a"]).and_then(Node::exposed);
        assert_eq!(exposed, Some("password"));
        let errors = substitute(vec![before], &Variables::default(), true).expect_err("unset");
        assert!(!errors.to_string().contains("open"), "{errors}");
    }

    #[test]
    fn what_could_show_a_secret_as_a_key_is_refused() {
        let set = variables(&[
            ("secret_word", "user: hidden"),
            ("secret_map", "{user: hidden}"),
        ]);
        let chance = config_map("  a: [\"${secret_word}\"]");
        let errors = substitute(vec![chance], &set, true).expect_err("a key by chance");
        assert!(!errors.to_string().contains("hidden"), "{errors}");
        let crossing = config_map("  a: ${unset:=x\n  b: y}z\n  c: ${secret_word}");
        if let Ok(objects) = substitute(vec![crossing], &set, true) {
            assert!(!write_documents(&[&objects[0].node]).contains("hidden"));
        }
        let meant = substitute(vec![config_map("  a: ${secret_map}")], &set, true);
        let node = meant.expect("it substitutes")[0].node.get("data").cloned();
        assert_eq!(
            write_documents(&[&node.expect("data")]),
            "a:\n  user: '***'\n"
        );
    }

    #[test]
    fn a_build_names_the_file_of_a_patched_scalar() {
        let mut tree = crate::MemTree::new();
        for (path, text) in [
            (
                "kustomization.yaml",
                "resources: [a.yaml]\npatches: [{path: p.yaml}]\n",
            ),
            (
                "a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
            ),
            (
                "p.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: ${y}\n",
            ),
        ] {
            tree.insert(path, text.as_bytes());
        }
        let mut built = crate::build(&tree, "", &crate::Options::default()).expect("it builds");
        let errors = built
            .substitute(&Variables::default(), true)
            .expect_err("unset");
        assert!(errors.to_string().starts_with("p.yaml:5:6: "), "{errors}");
    }
}
