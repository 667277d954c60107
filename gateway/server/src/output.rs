//! What commands print.

use clap::ValueEnum;
use serde_json::Value;

/// The format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Prints JSON for people and programs.
///
/// # Errors
/// When it cannot be written as text.
pub fn print_json(value: &Value) -> Result<(), String> {
    println!("{}", serde_json::to_string_pretty(value).map_err(|e| e.to_string())?);
    Ok(())
}

/// Prints what a command has done, in the chosen format.
///
/// # Errors
/// When it cannot be written as text.
pub fn answer(output: Output, text: &str, value: Value) -> Result<(), String> {
    match output {
        Output::Text => {
            println!("{text}");
            Ok(())
        }
        Output::Json => print_json(&value),
    }
}
