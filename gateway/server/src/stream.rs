//! `billwire stream`: what subscribers need to read the stream over NATS, and the keys with which they are let in.

use std::path::PathBuf;

use billwire_bus::CalloutKeys;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::{
    api_client::{Api, Gateway},
    data_dir::write_private,
    login::Profile,
    output::{Output, answer, print_json},
};

/// A language of an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Python with nats-py
    Python,
    /// JavaScript with @nats-io/transport-node and @nats-io/jetstream
    Javascript,
    /// Rust with async-nats
    Rust,
}

impl Language {
    const ALL: [Self; 3] = [Self::Python, Self::Javascript, Self::Rust];

    fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Javascript => "JavaScript",
            Self::Rust => "Rust",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Python => include_str!("stream/example.py"),
            Self::Javascript => include_str!("stream/example.mjs"),
            Self::Rust => include_str!("stream/example.rs.txt"),
        }
    }
}

/// What to do with the stream.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print how to read a stream subscription: a context of the `nats` command, with the API key in it, and programs
    Credentials {
        /// Name of the stream subscription
        name: String,
        #[command(flatten)]
        gateway: Gateway,
        /// Print only the program in this language
        #[arg(long, value_enum)]
        example: Option<Language>,
    },
    /// Make the keys with which a NATS of your own lets subscribers in, and print what belongs into its configuration
    Keys {
        /// The file to write the secret keys to, for BILLWIRE_NATS_CALLOUT_SEED_FILE; it must not exist
        #[arg(long)]
        file: PathBuf,
    },
}

/// Runs a command.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(command: Command, output: Output) -> Result<(), String> {
    match command {
        Command::Credentials { name, gateway, example } => {
            let Profile { api, key } = gateway.profile().await?;
            let subscription = subscription(&Api::new(&api, Some(key.clone()))?, &name).await?;
            credentials(&subscription, &key, example, output)
        }
        Command::Keys { file } => keys(&file, output),
    }
}

/// The tenant's stream subscription of this name.
async fn subscription(api: &Api, name: &str) -> Result<Value, String> {
    let found = api.list("/v1/stream-subscriptions").await?.into_iter().find(|one| one["name"] == name);
    found.ok_or_else(|| format!("there is no stream subscription '{name}'; createStreamSubscription makes one"))
}

fn credentials(subscription: &Value, key: &str, example: Option<Language>, output: Output) -> Result<(), String> {
    let connection = &subscription["connection"];
    let told = |value: &Value| value.as_str().map(str::to_owned);
    let (Some(url), Some(inbox), Some(stream), Some(consumer), Some(name)) = (
        told(&connection["url"]),
        told(&connection["inboxPrefix"]),
        told(&connection["stream"]),
        told(&subscription["consumer"]),
        told(&subscription["name"]),
    ) else {
        return Err("subscribers cannot connect to the NATS of this installation; its operator can let them".to_owned());
    };
    let user: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    let program = |language: Language| {
        let filled = [("{url}", &url), ("{name}", &user), ("{inbox}", &inbox), ("{stream}", &stream), ("{consumer}", &consumer)];
        filled.into_iter().fold(language.text().to_owned(), |text, (place, value)| text.replace(place, value))
    };
    if let Some(language) = example {
        println!("{}", program(language).trim_end());
        return Ok(());
    }
    let context = json!({
        "description": format!("Billwire: stream subscription {name}"),
        "url": url, "user": user, "password": key, "inbox_prefix": inbox,
    });
    if output == Output::Json {
        return print_json(&context);
    }
    println!(
        "A context of the `nats` command, for ~/.config/nats/context/billwire-{user}.json. It has the API key: keep it to yourself.\n"
    );
    print_json(&context)?;
    println!("\nStream {stream}, consumer {consumer}.");
    for language in Language::ALL {
        println!("\n{}:\n\n{}", language.name(), program(language).trim_end());
    }
    Ok(())
}

fn keys(file: &std::path::Path, output: Output) -> Result<(), String> {
    if file.exists() {
        return Err(format!("--file: {} is there already; a gateway may use its keys", file.display()));
    }
    let seeds = CalloutKeys::fresh().map_err(|error| error.to_string())?;
    let (issuer, xkey) = CalloutKeys::parse(&seeds).map_err(|error| error.to_string())?.public();
    write_private(file, &format!("{seeds}\n"))?;
    let text = format!("CALLOUT_ISSUER: \"{issuer}\"\nCALLOUT_XKEY: \"{xkey}\"");
    answer(output, &text, json!({ "issuer": issuer, "xkey": xkey, "file": file.display().to_string() }))
}
