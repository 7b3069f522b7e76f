//! What is logged, how, and where traces go.

use tracing_subscriber::EnvFilter;
use url::Url;

use crate::env::{Read, Reader, parse, registry};

/// `LOG_FORMAT`: for machines or for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Several coloured lines an event.
    Pretty,
}

/// What is logged, how, and where traces go.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// `LOG_FORMAT`.
    pub format: LogFormat,
    /// `RUST_LOG`, known to be a good filter.
    pub filter: String,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub otlp_endpoint: Option<Url>,
}

impl TelemetryConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let formats = [("json", LogFormat::Json), ("pretty", LogFormat::Pretty)];
        let format = reader.get(&registry::LOG_FORMAT, parse::choice(&formats));
        let filter = reader.get(&registry::RUST_LOG, parse_filter);
        let otlp_endpoint = reader.find(
            &registry::OTEL_EXPORTER_OTLP_ENDPOINT,
            parse::url(&["http", "https"]),
        );
        Ok(Self {
            format: format?,
            filter: filter?,
            otlp_endpoint: otlp_endpoint?,
        })
    }
}

fn parse_filter(text: &str) -> Result<String, parse::Problem> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is not a level, nor a comma list of module=level".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Env, Service};

    #[test]
    fn the_default_is_json_from_level_info() {
        let config = Env::default()
            .read(Service::Bot, TelemetryConfig::from_env)
            .unwrap();
        assert_eq!((config.format, config.filter.as_str()), (LogFormat::Json, "info"));
        assert_eq!(config.otlp_endpoint, None);
    }

    #[test]
    fn faults_of_all_three_variables_are_told_together() {
        let env = Env::from_pairs([
            ("LOG_FORMAT", "xml"),
            ("RUST_LOG", "rolecall=loud"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ]);
        let error = env.read(Service::Bot, TelemetryConfig::from_env).unwrap_err();
        let names: Vec<_> = error.faults().iter().map(crate::env::Fault::name).collect();
        assert_eq!(names, ["LOG_FORMAT", "RUST_LOG", "OTEL_EXPORTER_OTLP_ENDPOINT"]);
        assert_eq!(error.faults()[0].problem(), "is not one of json, pretty");
    }
}
