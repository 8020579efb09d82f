//! What kustomize's trip through JSON leaves of a manifest that a JSON patch changed.

use crate::yaml::{
    Node, Number, Scalar, Secret, Style, Tag, Value, parse_number, stays_text, to_rfc3339, truth,
    write_number,
};

/// Gives every scalar the notation that it has after JSON: numbers are floating-point and print as Go prints
/// them (`1e+06`), text is quoted where it must be. What the scalars mean stays, but for integers beyond 2^53.
pub(crate) fn through_json(node: &mut Node) {
    match &node.value {
        Value::Scalar(scalar) => {
            let (text, tag, style) = renotate(&scalar.text, scalar.tag);
            let text = text.into();
            node.value = Value::Scalar(Scalar { text, tag, style });
        }
        Value::Secret(secret) => {
            let (text, tag, style) = renotate(secret.expose(), secret.tag);
            node.value = Value::Secret(Secret::new(text, tag, style));
        }
        Value::Sequence(_) => {
            let items = node.as_sequence_mut().into_iter().flatten();
            items.for_each(through_json);
        }
        Value::Mapping(_) => {
            if let Some(mapping) = node.as_mapping_mut() {
                mapping
                    .iter_mut()
                    .for_each(|(_, value)| through_json(value));
            }
        }
    }
}

fn renotate(text: &str, tag: Tag) -> (String, Tag, Style) {
    match tag {
        Tag::Null => ("null".to_owned(), tag, Style::Plain),
        Tag::Bool => {
            let word = if truth(text) == Some(true) {
                "true"
            } else {
                "false"
            };
            (word.to_owned(), tag, Style::Plain)
        }
        Tag::Int | Tag::Float => match parse_number(text) {
            Some(number) => renotate_number(number),
            None => (text.to_owned(), tag, Style::Plain),
        },
        Tag::Timestamp => {
            let time = to_rfc3339(text).unwrap_or_else(|| text.to_owned());
            (time, Tag::Str, Style::Double)
        }
        Tag::Str => (text.to_owned(), tag, style_of(text)),
        Tag::Binary => (text.to_owned(), tag, Style::Plain),
    }
}

fn renotate_number(number: Number) -> (String, Tag, Style) {
    let value = match number {
        Number::Int(value) => value as f64,
        Number::Uint(value) => value as f64,
        Number::Float(value) => value,
    };
    let mut text = String::new();
    write_number(&mut text, Number::Float(value));
    let is_whole = matches!(parse_number(&text), Some(Number::Int(_) | Number::Uint(_)));
    let tag = if is_whole { Tag::Int } else { Tag::Float };
    (text, tag, Style::Plain)
}

fn style_of(text: &str) -> Style {
    if text.contains('\n') {
        Style::Literal
    } else if stays_text(text) {
        Style::Plain
    } else {
        Style::Double
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_get_the_notation_of_go() {
        let cases = [
            ("0755", Tag::Int, "493", Tag::Int, Style::Plain),
            ("1000000", Tag::Int, "1e+06", Tag::Float, Style::Plain),
            ("123456", Tag::Int, "123456", Tag::Int, Style::Plain),
            (
                "1000660000",
                Tag::Int,
                "1.00066e+09",
                Tag::Float,
                Style::Plain,
            ),
            ("1.0", Tag::Float, "1", Tag::Int, Style::Plain),
            ("~", Tag::Null, "null", Tag::Null, Style::Plain),
            ("True", Tag::Bool, "true", Tag::Bool, Style::Plain),
            ("5", Tag::Str, "5", Tag::Str, Style::Double),
            ("yes", Tag::Str, "yes", Tag::Str, Style::Double),
            ("a", Tag::Str, "a", Tag::Str, Style::Plain),
            ("a\nb", Tag::Str, "a\nb", Tag::Str, Style::Literal),
        ];
        for (text, tag, want, want_tag, want_style) in cases {
            let have = renotate(text, tag);
            assert_eq!(have, (want.to_owned(), want_tag, want_style), "{text}");
        }
    }
}
