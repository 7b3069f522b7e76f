//! How mail leaves, if it does.

use std::net::IpAddr;

use secrecy::SecretString;
use url::Url;

use crate::{
    config::{AppEnv, Origin, http::public_url_if_set, network::host_of},
    env::{Read, Reader, parse, registry},
};

/// How mail leaves.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// `SMTP_URL`.
    pub smtp_url: SecretString,
    /// `MAIL_FROM`.
    pub from: String,
    /// `PUBLIC_URL`, where links in mails lead; without it there are none.
    pub public_url: Option<Origin>,
}

impl MailConfig {
    /// Reads the section; `None` where neither variable is set: then no mail is sent.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Option<Self>> {
        let app_env = AppEnv::from_env(reader);
        let smtp_url = reader.find(&registry::SMTP_URL, |text| {
            parse_smtp_url(text, app_env.is_ok_and(AppEnv::is_production))
        });
        let from = reader.find(&registry::MAIL_FROM, parse_sender);
        let public_url = public_url_if_set(reader);
        match (smtp_url?, from?) {
            (Some(smtp_url), Some(from)) => Ok(Some(Self {
                smtp_url,
                from,
                public_url: public_url?,
            })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(reader.fault(&registry::SMTP_URL, "is not set, but MAIL_FROM is")),
            (Some(_), None) => Err(reader.fault(&registry::MAIL_FROM, "is not set, but SMTP_URL is")),
        }
    }
}

fn parse_smtp_url(text: &str, is_production: bool) -> Result<SecretString, parse::Problem> {
    let url = parse::url(&["smtp", "smtps"])(text)?;
    if url.host_str().unwrap_or_default().is_empty() {
        return Err("names no host".to_owned());
    }
    if is_production && shows_its_password(&url) {
        return Err(
            "would send the password unencrypted: end it in ?tls=required, as in \
             smtp://user:password@mail.example.com:587?tls=required, or use smtps:// and its port"
                .to_owned(),
        );
    }
    parse::secret(text)
}

/// Plain SMTP is encrypted only if that is asked for: otherwise whoever stands between may read all of it.
fn shows_its_password(url: &Url) -> bool {
    let is_encrypted = url.scheme() == "smtps"
        || url
            .query_pairs()
            .any(|(name, value)| name == "tls" && value == "required");
    let host = host_of(url);
    let is_here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    url.password().is_some() && !is_encrypted && !is_here
}

/// `a@b.c` or `Name <a@b.c>`: enough to find a slip. The mail library parses it in earnest.
fn parse_sender(text: &str) -> Result<String, parse::Problem> {
    let address = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>'),
        None => Some(text),
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',');
    let good = address
        .filter(|address| !address.contains(odd) && !text.contains(char::is_control))
        .and_then(|address| address.split_once('@'))
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if good {
        Ok(text.to_owned())
    } else {
        Err("is not an address such as Name <name@example.com>".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Env, Service};

    fn read(pairs: &[(&str, &str)]) -> Result<Option<MailConfig>, String> {
        let env = Env::from_pairs(pairs.iter().copied());
        env.read(Service::Worker, MailConfig::from_env)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn both_or_neither() {
        let (url, from) = (("SMTP_URL", "smtps://u:p@mail.example"), ("MAIL_FROM", "a@b.c"));
        assert!(read(&[]).unwrap().is_none());
        assert_eq!(read(&[url, from]).unwrap().unwrap().from, "a@b.c");
        assert!(
            read(&[url])
                .unwrap_err()
                .starts_with("MAIL_FROM: is not set, but SMTP_URL is")
        );
        assert!(
            read(&[from])
                .unwrap_err()
                .starts_with("SMTP_URL: is not set, but MAIL_FROM is")
        );
    }

    #[test]
    fn links_lead_to_the_public_url_if_it_is_known() {
        let mail = [("SMTP_URL", "smtp://mail.example"), ("MAIL_FROM", "a@b.c")];
        assert_eq!(read(&mail).unwrap().unwrap().public_url, None);
        let [url, from] = mail;
        let config = read(&[url, from, ("PUBLIC_URL", "https://d.e")])
            .unwrap()
            .unwrap();
        assert_eq!(config.public_url.unwrap().as_str(), "https://d.e");
        let error = read(&[url, from, ("PUBLIC_URL", "http://d.e"), ("APP_ENV", "production")]).unwrap_err();
        assert!(
            error.starts_with("PUBLIC_URL: must be https in production"),
            "{error}"
        );
    }

    #[test]
    fn in_production_no_password_goes_over_the_network_unencrypted() {
        for (url, good) in [
            ("smtp://u:p@mail.example:587", false),
            ("smtp://u:p@mail.example:587?tls=opportunistic", false),
            ("smtp://u:p@10.0.0.7", false),
            ("smtp://u:p@mail.example:587?tls=required", true),
            ("smtps://u:p@mail.example", true),
            ("smtp://mail.example:25", true),
            ("smtp://u:p@localhost:1025", true),
            ("smtp://u:p@127.0.0.1:1025", true),
            ("smtp://u:p@[::1]:1025", true),
        ] {
            let pairs = [
                ("SMTP_URL", url),
                ("MAIL_FROM", "a@b.c"),
                ("APP_ENV", "production"),
            ];
            let production = read(&pairs);
            assert_eq!(production.is_ok(), good, "{url}");
            if let Err(error) = production {
                assert!(
                    error.contains("587?tls=required") && !error.contains("u:p"),
                    "{error}"
                );
            }
            assert!(read(&pairs[..2]).is_ok(), "{url} outside of production");
        }
    }

    #[test]
    fn a_sender_is_one_address() {
        for good in ["a@b.c", "Rolecall <a@b.c>"] {
            assert!(parse_sender(good).is_ok(), "{good}");
        }
        for bad in [
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "X <a@b.c",
            "a@b.c, d@e.f",
            "X\r\nBcc: y <a@b.c>",
        ] {
            assert!(parse_sender(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
