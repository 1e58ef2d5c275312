//! Several places that must say the same.

use serde_json::Value;

use super::violation::VIOLATIONS_LISTED_MAX;

/// Lists where `left` and `right` differ, each with both values: for maps by key, down to what is not a map. At most
/// [`VIOLATIONS_LISTED_MAX`] sentences, and the number of all differences.
///
/// # Examples
/// ```
/// use serde_json::json;
/// use steadfast_lab::invariant::differences;
///
/// let (sentences, total) = differences("orders", &json!({"a": 1, "b": 2}), "payment", &json!({"a": 1, "b": 3}));
/// assert_eq!((sentences[0].as_str(), total), ("at b: orders says 2, payment says 3", 1));
/// ```
pub fn differences(left_name: &str, left: &Value, right_name: &str, right: &Value) -> (Vec<String>, u64) {
    let mut found = Found { left_name, right_name, sentences: Vec::new(), total: 0 };
    found.compare("", Some(left), Some(right));
    (found.sentences, found.total)
}

struct Found<'n> {
    left_name: &'n str,
    right_name: &'n str,
    sentences: Vec<String>,
    total: u64,
}

impl Found<'_> {
    fn compare(&mut self, place: &str, left: Option<&Value>, right: Option<&Value>) {
        match (left, right) {
            (Some(Value::Object(left)), Some(Value::Object(right))) => {
                let only_right = right.keys().filter(|key| !left.contains_key(*key));
                for key in left.keys().chain(only_right) {
                    let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                    self.compare(&place, left.get(key), right.get(key));
                }
            }
            (left, right) if left == right => {}
            (left, right) => {
                self.total += 1;
                if self.sentences.len() < VIOLATIONS_LISTED_MAX {
                    let place = if place.is_empty() { "the whole" } else { place };
                    let (left, right) = (said(left), said(right));
                    let (left_name, right_name) = (self.left_name, self.right_name);
                    self.sentences
                        .push(format!("at {place}: {left_name} says {left}, {right_name} says {right}"));
                }
            }
        }
    }
}

fn said(value: Option<&Value>) -> String {
    const CHARS_MAX: usize = 80;
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_do_not_differ_whatever_their_order() {
        let left = json!({"a": {"x": [1, 2]}, "b": "12.34 EUR"});
        let right = json!({"b": "12.34 EUR", "a": {"x": [1, 2]}});
        assert_eq!(differences("l", &left, "r", &right), (Vec::new(), 0));
    }

    #[test]
    fn what_is_missing_on_either_side_is_told() {
        let (sentences, total) =
            differences("orders", &json!({"m": {"a": "1 EUR"}}), "payment", &json!({"m": {"b": "2 EUR"}}));
        assert_eq!(total, 2);
        assert_eq!(
            sentences,
            [
                "at m.a: orders says \"1 EUR\", payment says nothing",
                "at m.b: orders says nothing, payment says \"2 EUR\""
            ]
        );
    }

    #[test]
    fn the_number_of_sentences_is_bounded_and_the_count_is_not() {
        let left: Value =
            (0..200).map(|n| (n.to_string(), json!(n))).collect::<serde_json::Map<_, _>>().into();
        let (sentences, total) = differences("l", &left, "r", &json!({}));
        assert_eq!((sentences.len(), total), (VIOLATIONS_LISTED_MAX, 200));
    }
}
