//! What a client is made with.

use billwire_schemas::ids::fresh;

use crate::{Settings, client::Client};

#[test]
fn a_file_of_roots_that_is_none_is_named() {
    let path = std::env::temp_dir().join(format!("billwire-roots-{}", fresh()));
    let settings = Settings { ca_file: Some(path.clone()), ..Settings::default() };
    assert!(Client::new(&settings).unwrap_err().to_string().contains("billwire-roots-"));
    std::fs::write(&path, "not a certificate").unwrap();
    assert!(Client::new(&settings).unwrap_err().to_string().contains("not certificates"));
    std::fs::remove_file(&path).unwrap();
}
