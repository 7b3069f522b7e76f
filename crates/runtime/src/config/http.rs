//! What the listeners bind, who they are to the world, and whom they believe.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::{
    config::{AppEnv, IpNetwork, Origin},
    env::{Read, Reader, parse, registry},
};

/// Where `/health`, `/ready` and `/metrics` are served.
#[derive(Debug, Clone)]
pub struct HealthConfig {
    /// `HOST`.
    pub host: IpAddr,
    /// `HEALTH_PORT`.
    pub port: u16,
}

impl HealthConfig {
    /// Reads the section; the default port is that of the reading service.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let host = reader.get(&registry::HOST, parse_host);
        let port = reader.get(&registry::HEALTH_PORT, parse_port);
        Ok(Self {
            host: host?,
            port: port?,
        })
    }

    /// The address to bind.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

/// The public listener of the api.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `HOST`.
    pub host: IpAddr,
    /// `PORT`.
    pub port: u16,
    /// `PUBLIC_URL`: the origin that members see.
    pub public_url: Origin,
    /// `CORS_ALLOWED_ORIGINS`: other origins whose pages may call the API.
    pub cors_allowed_origins: Vec<Origin>,
    /// `TRUSTED_PROXIES`: whose forwarded headers are believed.
    pub trusted_proxies: Vec<IpNetwork>,
    /// The listener that is not for the public.
    pub health: HealthConfig,
}

impl HttpConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let port = reader.get(&registry::PORT, parse_port);
        let health = HealthConfig::from_env(reader);
        let public_url = public_url(reader);
        let cors_allowed_origins = reader.find(&registry::CORS_ALLOWED_ORIGINS, parse::list(Origin::parse));
        let trusted_proxies = reader.find(
            &registry::TRUSTED_PROXIES,
            parse::list(parse::from_str("an IP address or a network such as 10.0.0.0/8")),
        );

        let (port, health) = (port?, health?);
        if port == health.port && port != 0 {
            return Err(reader.fault(&registry::HEALTH_PORT, "must not be the same as PORT"));
        }
        Ok(Self {
            host: health.host,
            port,
            public_url: public_url?,
            cors_allowed_origins: cors_allowed_origins?.unwrap_or_default(),
            trusted_proxies: trusted_proxies?.unwrap_or_default(),
            health,
        })
    }

    /// The address to bind for the public.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

/// `PUBLIC_URL`, which other sections refer to as well.
pub(crate) fn public_url(reader: &mut Reader<'_>) -> Read<Origin> {
    match public_url_if_set(reader)? {
        Some(public_url) => Ok(public_url),
        None => Err(reader.missing(&registry::PUBLIC_URL)),
    }
}

/// `PUBLIC_URL` where the service can do without.
pub fn public_url_if_set(reader: &mut Reader<'_>) -> Read<Option<Origin>> {
    let app_env = AppEnv::from_env(reader);
    let public_url = reader.find(&registry::PUBLIC_URL, Origin::parse)?;
    let is_plain = public_url.as_ref().is_some_and(|url| !url.is_https());
    if is_plain && app_env.is_ok_and(AppEnv::is_production) {
        return Err(reader.fault(&registry::PUBLIC_URL, "must be https in production"));
    }
    Ok(public_url)
}

fn parse_host(text: &str) -> Result<IpAddr, parse::Problem> {
    if text == "localhost" {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    parse::from_str("an IP address")(text)
}

/// Port 0 asks the system for a free one, which tests and several copies on one machine need.
fn parse_port(text: &str) -> Result<u16, parse::Problem> {
    parse::number(0..=u16::MAX)(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{ConfigError, Env, Service};

    fn env() -> Env {
        Env::from_pairs([("PUBLIC_URL", "http://localhost:3000")])
    }

    fn read(env: &Env) -> Result<HttpConfig, ConfigError> {
        env.read(Service::Api, HttpConfig::from_env)
    }

    #[test]
    fn defaults_listen_to_everybody_on_3000_and_trust_nobody() {
        let config = read(&env()).unwrap();
        assert_eq!(config.address(), "0.0.0.0:3000".parse().unwrap());
        assert_eq!(config.health.address(), "0.0.0.0:3003".parse().unwrap());
        assert!(config.cors_allowed_origins.is_empty());
        assert!(config.trusted_proxies.is_empty());
    }

    #[test]
    fn each_service_has_a_health_port_of_its_own() {
        for (service, port) in [
            (Service::Api, 3003),
            (Service::Worker, 3001),
            (Service::Bot, 3002),
        ] {
            assert_eq!(
                Env::default().read(service, HealthConfig::from_env).unwrap().port,
                port
            );
        }
    }

    #[test]
    fn the_health_port_must_differ_from_the_public_one() {
        let error = read(&env().with("PORT", "3003")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "HEALTH_PORT: must not be the same as PORT (example: 3003)"
        );
        assert!(
            read(&env().with("PORT", "0").with("HEALTH_PORT", "0")).is_ok(),
            "two free ports differ"
        );
    }

    #[test]
    fn production_is_https() {
        let error = read(&env().with("APP_ENV", "production")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("PUBLIC_URL: must be https in production"),
            "{error}"
        );
        assert!(
            read(
                &env()
                    .with("APP_ENV", "production")
                    .with("PUBLIC_URL", "https://a.b")
            )
            .is_ok()
        );
    }

    #[test]
    fn lists_are_parsed_item_by_item() {
        let config = read(
            &env()
                .with("CORS_ALLOWED_ORIGINS", "https://a.b, https://c.d")
                .with("TRUSTED_PROXIES", "10.0.0.0/8,::1"),
        )
        .unwrap();
        assert_eq!(
            config
                .cors_allowed_origins
                .iter()
                .map(Origin::as_str)
                .collect::<Vec<_>>(),
            ["https://a.b", "https://c.d"]
        );
        assert!(
            config
                .trusted_proxies
                .iter()
                .any(|network| network.contains("10.9.8.7".parse().unwrap()))
        );

        let error = read(
            &env()
                .with("CORS_ALLOWED_ORIGINS", "https://a.b,*")
                .with("TRUSTED_PROXIES", "traefik"),
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("CORS_ALLOWED_ORIGINS: item 2 is not a URL"),
            "{error}"
        );
        assert!(
            error.contains("TRUSTED_PROXIES: is not an IP address or a network"),
            "{error}"
        );
    }
}
