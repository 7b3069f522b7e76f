//! All simulators of one process.

use crate::clock::Clock;
use crate::options::{Options, Seed};
use crate::{discord, mail, stripe};

/// The running simulators.
#[derive(Debug)]
pub struct Sandbox {
    stripe: stripe::Simulator,
    discord: discord::Simulator,
    mail: mail::Simulator,
}

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Stripe did not.
    #[error("Stripe did not start")]
    Stripe(#[from] stripe::StartError),
    /// Discord did not.
    #[error("Discord did not start on {0}")]
    Discord(std::net::SocketAddr, #[source] std::io::Error),
    /// The mail server did not.
    #[error("the mail server did not start on {0} and {1}")]
    Mail(
        std::net::SocketAddr,
        std::net::SocketAddr,
        #[source] std::io::Error,
    ),
}

impl Sandbox {
    /// Starts all of them.
    pub async fn start(options: &Options) -> Result<Self, StartError> {
        let clock = Clock::system();
        let stripe = stripe::Simulator::start(stripe_config(options, clock.clone())).await?;
        if options.seed == Seed::Demo {
            stripe.seed_demo();
        }
        let listen = options.discord_listen;
        let discord = discord::Simulator::start(discord_config(options, clock.clone())).await;
        let discord = discord.map_err(|error| StartError::Discord(listen, error))?;
        let (smtp_listen, http_listen) = (options.smtp_listen, options.mail_listen);
        let mail = mail::Simulator::start(mail::Config {
            smtp_listen,
            http_listen,
            clock,
        })
        .await;
        let mail = mail.map_err(|error| StartError::Mail(smtp_listen, http_listen, error))?;
        Ok(Self {
            stripe,
            discord,
            mail,
        })
    }

    /// What runs where, one line each.
    pub fn addresses(&self) -> [String; 4] {
        [
            format!("stripe  {}", self.stripe.origin()),
            format!("discord {}", self.discord.origin()),
            format!("smtp    {}", self.mail.smtp_url()),
            format!("mailbox {}", self.mail.origin()),
        ]
    }

    /// Ends all of them.
    pub async fn shutdown(self) {
        self.stripe.shutdown().await;
        self.discord.shutdown().await;
        self.mail.shutdown().await;
    }
}

fn stripe_config(options: &Options, clock: Clock) -> stripe::Config {
    let endpoint = options
        .webhook_url
        .iter()
        .zip(&options.webhook_secret)
        .map(|(url, secret)| stripe::EndpointConfig {
            api_version: options.webhook_api_version.clone(),
            ..stripe::EndpointConfig::all(url, secret)
        });
    stripe::Config {
        listen: options.stripe_listen,
        secret_keys: options.stripe_secret_keys.clone(),
        endpoints: endpoint.collect(),
        clock,
        seed: options.random_seed,
        ..stripe::Config::new("")
    }
}

fn discord_config(options: &Options, clock: Clock) -> discord::Config {
    let redirect_uris = options.discord_redirect_uris.clone();
    let mut config = discord::Config::demo(options.discord_listen, clock, redirect_uris);
    if let Some(secret) = &options.discord_client_secret {
        config.application.client_secret.clone_from(secret);
    }
    if let Some(token) = &options.discord_bot_token {
        config.application.bot_token.clone_from(token);
    }
    config
}
