//! The patterns that request strings must match, each with a description for error messages.

/// One line: no control characters.
pub(crate) const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// Control characters, spaces, and the characters without a glyph of Unicode's basic plane (`White_Space`, `Default_Ignorable_Code_Point`, the
/// braille blank), as the inside of a class.
macro_rules! invisible {
    () => {
        concat!(
            r"\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f",
            r"\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
        )
    };
}

/// A name: one line with at least one visible character.
pub(crate) const NAME: &str = concat!(r"^[^\x00-\x1f\x7f-\x9f]*[^", invisible!(), r"][^\x00-\x1f\x7f-\x9f]*$");
/// An id of another system: one line that begins and ends with a visible character, so that no two look alike for what surrounds them, and not
/// dots alone, which a URL's path cannot name (RFC 3986 section 6.2.2.3).
pub(crate) const EXTERNAL_ID: &str =
    concat!(r"^\.*([^.", invisible!(), r"]|[^.", invisible!(), r"][^\x00-\x1f\x7f-\x9f]*[^", invisible!(), r"])$");
/// A token of a subject.
pub(crate) const TENANT: &str = "^[A-Za-z0-9_-]+$";
/// Several lines: no control characters except tab and line breaks.
pub(crate) const LINES: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";
/// ISO 4217.
pub(crate) const CURRENCY: &str = "^[A-Z]{3}$";
/// A host name or an IP address.
pub(crate) const HOST: &str = "^[A-Za-z0-9:]([A-Za-z0-9._:-]*[A-Za-z0-9:])?$";
/// A path with an optional query.
pub(crate) const PATH: &str = r"^/[^\s#\\\x00-\x1f\x7f-\x9f]*$";
/// A plain e-mail address: without display name, quotes or comments. [`billwire_schemas::recipient::is_address`] has the whole rule.
pub(crate) const ADDRESS: &str = r#"^[^\s@<>()",;:\\\[\]\x00-\x1f\x7f-\x9f]+@[^\s@<>()"',;:\\\[\]\x00-\x1f\x7f-\x9f]+$"#;
/// Words of lowercase letters and digits, joined by underscores.
pub(crate) const SNAKE: &str = "^[a-z][a-z0-9]*(_[a-z0-9]+)*$";
/// Letters and digits, starting with a lowercase letter.
pub(crate) const CAMEL: &str = "^[a-z][A-Za-z0-9]*$";
/// A header value: visible ASCII with inner spaces.
pub(crate) const HEADER: &str = "^[!-~]([ -~]*[!-~])?$";
/// [`PATH`], or empty.
pub(crate) const PATH_OR_NOTHING: &str = r"^(/[^\s#\\\x00-\x1f\x7f-\x9f]*)?$";
/// [`ADDRESS`], or empty.
pub(crate) const ADDRESS_OR_NOTHING: &str = r#"^([^\s@<>()",;:\\\[\]\x00-\x1f\x7f-\x9f]+@[^\s@<>()"',;:\\\[\]\x00-\x1f\x7f-\x9f]+)?$"#;
/// [`ADDRESS`], an id, or a parameter name.
pub(crate) const RECIPIENT: &str = r#"^([^\s@<>()",;:\\\[\]\x00-\x1f\x7f-\x9f]+@[^\s@<>()"',;:\\\[\]\x00-\x1f\x7f-\x9f]+|[0-9a-fA-F-]{36}|[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)+)$"#;
/// [`LANGUAGE`], or empty.
pub(crate) const LANGUAGE_OR_NOTHING: &str = "^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$";
/// A plain decimal.
pub(crate) const DECIMAL: &str = r"^-?[0-9]+(\.[0-9]+)?$";
/// A status name.
pub(crate) const STATUS: &str = "^[A-Za-z][A-Za-z0-9_-]*$";
/// The name of an attribute, a colon, and its text.
pub(crate) const ATTRIBUTE: &str = r"^[A-Za-z][A-Za-z0-9_.-]{0,63}:[^\x00-\x1f\x7f-\x9f]+$";
/// ISO 3166-1 alpha-2.
pub(crate) const COUNTRY: &str = "^[A-Z]{2}$";
/// A syntactically valid BCP 47 language tag.
pub(crate) const LANGUAGE: &str = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$";
/// Visible ASCII.
pub(crate) const VISIBLE: &str = "^[!-~]*$";

/// The error text for something that is no e-mail address.
pub(crate) const ADDRESS_RULE: &str = "must be a plain e-mail address, such as billing@example.com";

/// The error text for a string that does not match `pattern`.
pub(crate) fn rule_of(pattern: &str) -> &'static str {
    match pattern {
        LINE => "must not contain line breaks or other control characters",
        NAME => "must have a visible character, and no line breaks or other control characters",
        EXTERNAL_ID => "must begin and end with a visible character, be one line, and not consist of dots alone",
        TENANT => "must contain only letters, digits, '_' and '-'",
        LINES => "must not contain control characters other than tab and line breaks",
        CURRENCY => "must be three uppercase letters (ISO 4217), such as EUR",
        HOST => "must be a host name or an IP address, without scheme, port or path",
        HEADER => "must consist of visible ASCII characters, with spaces only between them",
        PATH | PATH_OR_NOTHING => "must start with '/' and contain no spaces, no backslashes and no '#'",
        ADDRESS | ADDRESS_OR_NOTHING => ADDRESS_RULE,
        RECIPIENT => "must be a plain e-mail address, the id of a system user, or a parameter name such as contact.email",
        SNAKE => "must be words of lowercase letters and digits, joined by underscores, such as sim_swapped",
        CAMEL => "must start with a lowercase letter and contain only letters and digits, such as billCycle",
        DECIMAL => "must be a decimal such as 12.50, without exponent, spaces or thousands separators",
        STATUS => "must start with a letter and contain only letters, digits, '_' and '-'",
        ATTRIBUTE => "must be the name of an attribute, a colon and its text, such as region:EMEA",
        COUNTRY => "must be two uppercase letters (ISO 3166-1), such as DE",
        LANGUAGE | LANGUAGE_OR_NOTHING => "must be a language tag (BCP 47), such as de or en-GB",
        VISIBLE => "must contain visible ASCII characters only",
        _ => "does not match the required pattern",
    }
}
