use super::Error;

/// Attributes that are not extensions, `data` and `data_base64` of the JSON format included.
const TAKEN: [&str; 11] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "traceparent",
    "data",
    "data_base64",
];

/// Checks that `name` may name an attribute: section "Naming conventions" of CloudEvents 1.0.2.
pub(super) fn check(name: &str) -> Result<(), Error> {
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(Error::Name { name: name.to_owned() })
}

/// Checks that `name` may name an extension.
pub(super) fn check_extension(name: &str) -> Result<(), Error> {
    if TAKEN.contains(&name) { Err(Error::Name { name: name.to_owned() }) } else { check(name) }
}

/// Checks that `value` may be the text of an attribute: not empty where `required`, and without control characters
/// and noncharacters (section "Type system").
pub(super) fn check_text(name: &str, value: &str, required: bool) -> Result<(), Error> {
    if required && value.is_empty() {
        return Err(Error::invalid(name, "is empty"));
    }
    if value.is_ascii() && !value.bytes().any(|byte| byte.is_ascii_control()) {
        return Ok(());
    }
    if value.chars().any(|char| char.is_control() || is_noncharacter(char)) {
        return Err(Error::invalid(name, "has a control character or a noncharacter"));
    }
    Ok(())
}

fn is_noncharacter(char: char) -> bool {
    let code = u32::from(char);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}
