//! The forms that texts of requests may be asked to have, and what each means for people.

/// One line: no control characters.
pub(crate) const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// Several lines: of the control characters only tab and line ends.
pub(crate) const LINES: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";
/// ISO 4217.
pub(crate) const CURRENCY: &str = "^[A-Z]{3}$";
/// A host name or an address.
pub(crate) const HOST: &str = "^[A-Za-z0-9:]([A-Za-z0-9._:-]*[A-Za-z0-9:])?$";
/// A path and perhaps a query.
pub(crate) const PATH: &str = r"^/[^\s#\x00-\x1f\x7f-\x9f]*$";
/// A plain address: without display name, quotes or comments.
pub(crate) const ADDRESS: &str = r#"^[^\s@<>()"',;:\\\[\]\x00-\x1f\x7f-\x9f]+@[^\s@<>()"',;:\\\[\]\x00-\x1f\x7f-\x9f]+$"#;
/// Words of small letters and digits, joined by underscores.
pub(crate) const SNAKE: &str = "^[a-z][a-z0-9]*(_[a-z0-9]+)*$";
/// A word of letters and digits that starts with a small letter.
pub(crate) const CAMEL: &str = "^[a-z][A-Za-z0-9]*$";
/// A value of a header: visible ASCII, and spaces within.
pub(crate) const HEADER: &str = "^[!-~]([ -~]*[!-~])?$";
/// [`PATH`], or nothing.
pub(crate) const PATH_OR_NOTHING: &str = r"^(/[^\s#\x00-\x1f\x7f-\x9f]*)?$";
/// [`ADDRESS`], or nothing.
pub(crate) const ADDRESS_OR_NOTHING: &str = r#"^([^\s@<>()"',;:\\\[\]\x00-\x1f\x7f-\x9f]+@[^\s@<>()"',;:\\\[\]\x00-\x1f\x7f-\x9f]+)?$"#;
/// [`ADDRESS`], an id, or the name of a parameter.
pub(crate) const RECIPIENT: &str = r#"^([^\s@<>()"',;:\\\[\]\x00-\x1f\x7f-\x9f]+@[^\s@<>()"',;:\\\[\]\x00-\x1f\x7f-\x9f]+|[0-9a-fA-F-]{36}|[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)+)$"#;
/// [`LANGUAGE`], or nothing.
pub(crate) const LANGUAGE_OR_NOTHING: &str = "^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$";
/// A plain decimal.
pub(crate) const DECIMAL: &str = r"^-?[0-9]+(\.[0-9]+)?$";
/// A name of a status.
pub(crate) const STATUS: &str = "^[A-Za-z][A-Za-z0-9_-]*$";
/// ISO 3166-1 alpha-2.
pub(crate) const COUNTRY: &str = "^[A-Z]{2}$";
/// A language tag of BCP 47, by its form.
pub(crate) const LANGUAGE: &str = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$";
/// Visible ASCII.
pub(crate) const VISIBLE: &str = "^[!-~]*$";

/// What a broken pattern means, for people.
pub(crate) fn rule_of(pattern: &str) -> &'static str {
    match pattern {
        LINE => "must not contain line breaks or other control characters",
        LINES => "must not contain control characters other than tab and line ends",
        CURRENCY => "must be three capital letters (ISO 4217), such as EUR",
        HOST => "must be a host name or an IP address, without scheme, port or path",
        HEADER => "must consist of visible ASCII characters, and spaces between them",
        PATH | PATH_OR_NOTHING => "must start with '/' and contain no spaces and no '#'",
        ADDRESS | ADDRESS_OR_NOTHING => "must be a plain e-mail address, such as billing@example.com",
        RECIPIENT => "must be a plain e-mail address, the id of a system user, or the name of a parameter such as contact.email",
        SNAKE => "must be words of small letters and digits, joined by underscores, such as sim_swapped",
        CAMEL => "must start with a small letter and have letters and digits only, such as billCycle",
        DECIMAL => "must be a decimal such as 12.50, without exponent, spaces or thousands separators",
        STATUS => "must start with a letter and contain only letters, digits, '_' and '-'",
        COUNTRY => "must be two capital letters (ISO 3166-1), such as DE",
        LANGUAGE | LANGUAGE_OR_NOTHING => "must be a language tag (BCP 47), such as de or en-GB",
        VISIBLE => "must contain visible ASCII characters only",
        _ => "does not have the form asked for",
    }
}
