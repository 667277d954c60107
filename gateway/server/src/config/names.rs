//! The names of settings in the environment: one that is not known is refused.

use billwire_schemas::events::parameters::nearest;
use serde::Deserialize;

use super::Settings;

/// The names of all settings, as in the file.
fn names() -> Vec<String> {
    struct Names(Vec<String>);
    impl<'de> serde::Deserializer<'de> for &mut Names {
        type Error = serde::de::value::Error;
        fn deserialize_any<V: serde::de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("only the names are needed"))
        }
        fn deserialize_struct<V: serde::de::Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            self.0.extend(fields.iter().map(|&f| f.to_owned()));
            self.deserialize_any(visitor)
        }
        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
            tuple_struct map enum identifier ignored_any
        }
    }
    let mut names = Names(Vec::new());
    let _ = Settings::deserialize(&mut names);
    names.0
}

/// Refuses a `BILLWIRE_*` variable that is not a setting, and suggests the most similar setting.
pub fn unknown_variables() -> Result<(), String> {
    let known: Vec<String> = names().iter().map(|name| format!("BILLWIRE_{}", name.to_uppercase())).collect();
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("BILLWIRE_") && !known.iter().any(|k| *k == name) {
            let near = nearest(&name, known.iter().map(String::as_str));
            let hint = near.first().map_or(String::new(), |near| format!("; did you mean {near}?"));
            return Err(format!("configuration: there is no setting {name}{hint}"));
        }
    }
    Ok(())
}
