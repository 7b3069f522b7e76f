//! The command line of `rolecall-sandbox`.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

/// Stripe, Discord and a mail server, simulated on this machine.
#[derive(Clone, Debug, Parser)]
#[command(name = "rolecall-sandbox", version)]
pub struct Options {
    /// Where the simulated Stripe listens.
    #[arg(long, default_value = "127.0.0.1:4010")]
    pub stripe_listen: SocketAddr,
    /// A secret key that Stripe accepts; may be repeated.
    #[arg(
        long = "stripe-secret-key",
        default_value = "sk_test_sandbox00000000000000000000"
    )]
    pub stripe_secret_keys: Vec<String>,
    /// Where Stripe's webhooks go; without it there is no endpoint until one is made through the API.
    #[arg(long, requires = "webhook_secret")]
    pub webhook_url: Option<String>,
    /// The secret that webhooks are signed with, `whsec_...`.
    #[arg(long, requires = "webhook_url")]
    pub webhook_secret: Option<String>,
    /// The API version of the webhooks, such as 2024-06-20 for the older shapes.
    #[arg(long, requires = "webhook_url")]
    pub webhook_api_version: Option<String>,
    /// Where the simulated Discord listens.
    #[arg(long, default_value = "127.0.0.1:4020")]
    pub discord_listen: SocketAddr,
    /// A registered OAuth redirect URI; may be repeated.
    #[arg(long = "discord-redirect-uri")]
    pub discord_redirect_uris: Vec<String>,
    /// The application's client secret, instead of the demo's.
    #[arg(long)]
    pub discord_client_secret: Option<String>,
    /// The bot's token, instead of the demo's.
    #[arg(long)]
    pub discord_bot_token: Option<String>,
    /// Where the mail server listens for SMTP.
    #[arg(long, default_value = "127.0.0.1:4030")]
    pub smtp_listen: SocketAddr,
    /// Where the mailbox page is.
    #[arg(long, default_value = "127.0.0.1:4031")]
    pub mail_listen: SocketAddr,
    /// What Stripe sells from the start.
    #[arg(long, value_enum, default_value_t = Seed::Demo)]
    pub seed: Seed,
    /// Makes ids and faults repeat; without it they differ from run to run.
    #[arg(long)]
    pub random_seed: Option<u64>,
}

/// What is there from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Seed {
    /// "Council member", monthly and yearly.
    Demo,
    /// Nothing.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_url_needs_its_secret() {
        let parse = |args: &[&str]| Options::try_parse_from([&["rolecall-sandbox"], args].concat());
        assert!(parse(&[]).is_ok());
        assert!(parse(&["--webhook-url", "http://127.0.0.1:1/"]).is_err());
        assert!(
            parse(&[
                "--webhook-url",
                "http://127.0.0.1:1/",
                "--webhook-secret",
                "whsec_x"
            ])
            .is_ok()
        );
    }
}
