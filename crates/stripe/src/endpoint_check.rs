//! Is our webhook endpoint at Stripe as it has to be? A pure judgement of what Stripe lists.

use chrono::NaiveDate;

use crate::{
    client::Client,
    event::needed::missing_events,
    types::webhook_endpoint::{WebhookEndpoint, WebhookEndpointStatus},
};

/// Where the api takes events, after its public address.
pub const WEBHOOK_PATH: &str = "/webhooks/stripe";

/// Objects are read in the shapes of API versions since this one.
const READ_SINCE: NaiveDate = day(2022, 11, 15);

/// The major versions, by their names, whose shapes are known to be read.
const KNOWN_NAMES: [&str; 5] = ["acacia", "basil", "clover", "dahlia", "endive"];

/// The first day of a version that has a name.
const NAMED_SINCE: NaiveDate = day(2024, 9, 30);

const fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(day) => day,
        None => NaiveDate::MIN,
    }
}

/// Something about the endpoint that has to be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointFault {
    /// There is none.
    Missing {
        /// The address that one should have, if it is known.
        address: Option<String>,
    },
    /// Stripe does not send to it.
    Disabled {
        /// `we_...`
        id: String,
    },
    /// It does not send everything that is needed.
    MissingEvents {
        /// `we_...`
        id: String,
        /// What it lacks.
        types: Vec<&'static str>,
    },
    /// Its events have a shape that was never read.
    OtherVersion {
        /// `we_...`
        id: String,
        /// The version.
        version: String,
    },
}

impl EndpointFault {
    /// The names of all checks.
    pub const NAMES: [&'static str; 4] = [
        "stripe_endpoint_missing",
        "stripe_endpoint_disabled",
        "stripe_endpoint_events",
        "stripe_endpoint_version",
    ];

    /// The name of the check that found it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "stripe_endpoint_missing",
            Self::Disabled { .. } => "stripe_endpoint_disabled",
            Self::MissingEvents { .. } => "stripe_endpoint_events",
            Self::OtherVersion { .. } => "stripe_endpoint_version",
        }
    }

    /// What is wrong.
    pub fn problem(&self) -> String {
        match self {
            Self::Missing {
                address: Some(address),
            } => {
                format!("Stripe has no webhook endpoint for {address}: it sends us no events")
            }
            Self::Missing { address: None } => {
                format!("Stripe has no webhook endpoint that ends in {WEBHOOK_PATH}: it sends us no events")
            }
            Self::Disabled { id } => format!(
                "the webhook endpoint {id} is disabled: Stripe sends us no events, and those of meanwhile never"
            ),
            Self::MissingEvents { id, types } => {
                format!("the webhook endpoint {id} does not send {}", types.join(", "))
            }
            Self::OtherVersion { id, version } => format!(
                "the webhook endpoint {id} has API version {version}, whose events this version of Rolecall was not made for"
            ),
        }
    }

    /// What to do.
    pub fn fix(&self) -> String {
        match self {
            Self::Missing { address } => {
                let address = address
                    .clone()
                    .unwrap_or_else(|| format!("PUBLIC_URL{WEBHOOK_PATH}"));
                format!("add an endpoint for {address} in Stripe's dashboard, and set its signing secret")
            }
            Self::Disabled { .. } => {
                "see in Stripe's dashboard why deliveries failed, mend that, and enable the endpoint"
                    .to_owned()
            }
            Self::MissingEvents { .. } => "add these types to the endpoint in Stripe's dashboard".to_owned(),
            Self::OtherVersion { .. } => format!(
                "make an endpoint with API version {} in its place, or update Rolecall",
                Client::api_version()
            ),
        }
    }
}

/// Everything that is wrong with our endpoint, which is found by the public address where that is known.
/// Of several, as there are while one replaces another, the best one counts.
pub fn check_endpoint(endpoints: &[WebhookEndpoint], public_url: Option<&str>) -> Vec<EndpointFault> {
    let address = public_url.map(|url| format!("{}{WEBHOOK_PATH}", url.trim_end_matches('/')));
    let ours = endpoints.iter().filter(|endpoint| match &address {
        Some(address) => endpoint.url.trim_end_matches('/').eq_ignore_ascii_case(address),
        None => endpoint.url.trim_end_matches('/').ends_with(WEBHOOK_PATH),
    });
    ours.map(faults_of)
        .min_by_key(Vec::len)
        .unwrap_or_else(|| vec![EndpointFault::Missing { address }])
}

fn faults_of(endpoint: &WebhookEndpoint) -> Vec<EndpointFault> {
    let id = || endpoint.id.clone();
    let mut faults = Vec::new();
    if endpoint.status == WebhookEndpointStatus::Disabled {
        faults.push(EndpointFault::Disabled { id: id() });
    }
    let types = missing_events(&endpoint.enabled_events);
    if !types.is_empty() {
        faults.push(EndpointFault::MissingEvents { id: id(), types });
    }
    if let Some(version) = endpoint.api_version.as_ref().filter(|version| !is_read(version)) {
        let version = version.clone();
        faults.push(EndpointFault::OtherVersion { id: id(), version });
    }
    faults
}

/// Whether events of an API version have a shape that is read: neither too old nor of a major version that
/// came later.
pub fn is_read(version: &str) -> bool {
    let (date, name) = version.split_once('.').unwrap_or((version, ""));
    let Ok(date) = NaiveDate::parse_from_str(date, "%Y-%m-%d") else {
        return false;
    };
    if name.is_empty() {
        (READ_SINCE..NAMED_SINCE).contains(&date)
    } else {
        date >= READ_SINCE && KNOWN_NAMES.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut WebhookEndpoint);

    const URL: &str = "https://council.example";

    fn endpoint(id: &str) -> WebhookEndpoint {
        WebhookEndpoint {
            id: id.to_owned(),
            url: format!("{URL}{WEBHOOK_PATH}"),
            status: WebhookEndpointStatus::Enabled,
            enabled_events: vec!["*".to_owned()],
            api_version: None,
            livemode: None,
        }
    }

    fn names(endpoints: &[WebhookEndpoint], url: Option<&str>) -> Vec<&'static str> {
        check_endpoint(endpoints, url)
            .iter()
            .map(EndpointFault::name)
            .collect()
    }

    #[test]
    fn each_fault_is_found_and_says_what_to_do() {
        let broken: [(Change, &str, &str); 4] = [
            (
                |endpoint| endpoint.url = "https://other.example/webhooks/stripe".to_owned(),
                "stripe_endpoint_missing",
                "https://council.example/webhooks/stripe",
            ),
            (
                |endpoint| endpoint.status = WebhookEndpointStatus::Disabled,
                "stripe_endpoint_disabled",
                "enable",
            ),
            (
                |endpoint| endpoint.enabled_events = vec!["invoice.paid".to_owned()],
                "stripe_endpoint_events",
                "add these types",
            ),
            (
                |endpoint| endpoint.api_version = Some("2019-12-03".to_owned()),
                "stripe_endpoint_version",
                "API version 20",
            ),
        ];
        for (change, name, fix) in broken {
            let mut changed = endpoint("we_1");
            change(&mut changed);
            let faults = check_endpoint(&[changed], Some(URL));
            assert_eq!(faults.len(), 1, "{name}");
            assert_eq!(faults[0].name(), name);
            assert!(faults[0].fix().contains(fix), "{}", faults[0].fix());
            assert!(!faults[0].problem().is_empty());
            assert!(EndpointFault::NAMES.contains(&name));
        }
        assert_eq!(names(&[endpoint("we_1")], Some(URL)), Vec::<&str>::new());
        assert_eq!(names(&[], Some(URL)), ["stripe_endpoint_missing"]);
    }

    #[test]
    fn the_best_of_several_counts_and_a_slash_does_not() {
        let disabled = WebhookEndpoint {
            status: WebhookEndpointStatus::Disabled,
            ..endpoint("we_1")
        };
        let good = endpoint("we_2");
        for url in [URL, "https://council.example/"] {
            assert_eq!(
                names(&[disabled.clone(), good.clone()], Some(url)),
                Vec::<&str>::new()
            );
        }
        assert_eq!(names(&[disabled], Some(URL)), ["stripe_endpoint_disabled"]);
    }

    #[test]
    fn without_a_public_address_the_path_tells() {
        assert_eq!(names(&[endpoint("we_1")], None), Vec::<&str>::new());
        let other = WebhookEndpoint {
            url: "https://council.example/hooks".to_owned(),
            ..endpoint("we_1")
        };
        assert_eq!(names(&[other], None), ["stripe_endpoint_missing"]);
    }

    #[test]
    fn versions_are_read_from_the_oldest_shape_to_the_newest_known_name() {
        for good in [
            "2022-11-15",
            "2024-06-20",
            "2024-09-30.acacia",
            "2025-03-31.basil",
            "2026-09-30.endive",
        ] {
            assert!(is_read(good), "{good}");
        }
        assert!(is_read(&Client::api_version()), "{}", Client::api_version());
        for bad in [
            "2020-08-27",
            "2019-12-03",
            "2027-03-31.fern",
            "latest",
            "",
            "2025-03-31",
        ] {
            assert!(!is_read(bad), "{bad}");
        }
    }
}
