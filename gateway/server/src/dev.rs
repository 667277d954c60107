//! stub
pub async fn run(_: crate::config::Settings, _: bool) -> Result<(), String> { Err("not yet".into()) }
