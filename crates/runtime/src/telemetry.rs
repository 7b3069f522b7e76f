//! Logs: JSON for machines, pretty for people, to standard output or to a writer of the caller's.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{Dispatch, warn};
use tracing_subscriber::{
    EnvFilter, Layer, filter::ParseError, fmt::MakeWriter, layer::SubscriberExt, registry,
    util::SubscriberInitExt, util::TryInitError,
};

use crate::config::{LogFormat, TelemetryConfig};

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("read the log filter")]
    Filter(#[from] ParseError),
    /// It was set up before.
    #[error("set up logging")]
    AlreadySet(#[from] TryInitError),
}

/// Sends the logs of this process to standard output, once.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let colours = io::stdout().is_terminal();
    build(config, io::stdout, colours)?.try_init()?;
    if config.otlp_endpoint.is_some() {
        warn!("OTEL_EXPORTER_OTLP_ENDPOINT is set, but this version sends no traces");
    }
    Ok(())
}

/// A subscriber that writes to `writer`, for `tracing::dispatcher::with_default` and its like.
pub fn subscriber<W>(config: &TelemetryConfig, writer: W) -> Result<Dispatch, TelemetryError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    build(config, writer, false)
}

fn build<W>(config: &TelemetryConfig, writer: W, colours: bool) -> Result<Dispatch, TelemetryError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours);
    let layer = match config.format {
        // The fields of the event at the top, those of its spans in `spans`, outermost first: an id
        // that a span carries is found by one grep over all that happened within it.
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .boxed(),
        LogFormat::Pretty => layer.pretty().boxed(),
    };
    let filter = EnvFilter::try_new(&config.filter)?;
    // Over the whole registry: a filter of the one layer loses events of spans that change threads.
    Ok(registry().with(filter).with(layer).into())
}

/// A writer that keeps what is logged, for tests that read it.
#[derive(Debug, Clone, Default)]
pub struct CapturedLogs(Arc<Mutex<Vec<u8>>>);

impl CapturedLogs {
    /// Everything that was logged so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for CapturedLogs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for CapturedLogs {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tracing::{dispatcher::with_default, info, info_span, trace};

    use super::*;

    fn config(format: LogFormat) -> TelemetryConfig {
        TelemetryConfig {
            format,
            filter: "info".to_owned(),
            otlp_endpoint: None,
        }
    }

    fn captured(format: LogFormat, body: impl FnOnce()) -> String {
        let logs = CapturedLogs::default();
        with_default(&subscriber(&config(format), logs.clone()).unwrap(), body);
        logs.text()
    }

    #[test]
    fn a_json_line_holds_time_level_target_message_fields_and_those_of_its_spans() {
        let text = captured(LogFormat::Json, || {
            let outer = info_span!("http.request", trace_id = "4bf9");
            let _outer = outer.enter();
            let inner = info_span!("job.run", job.kind = "converge_member");
            let _inner = inner.enter();
            info!(member.id = 7, "roles are in place");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["target"], "rolecall_runtime::telemetry::tests");
        assert_eq!(line["message"], "roles are in place");
        assert_eq!(line["member.id"], 7);
        assert_eq!(line["spans"][0]["trace_id"], "4bf9");
        assert_eq!(line["spans"][1]["job.kind"], "converge_member");
        assert!(
            chrono::DateTime::parse_from_rfc3339(line["timestamp"].as_str().unwrap()).is_ok(),
            "{text}"
        );
    }

    #[test]
    fn the_filter_leaves_out_what_is_below_it() {
        assert_eq!(captured(LogFormat::Json, || trace!("too fine")), "");
    }

    #[test]
    fn the_pretty_format_is_not_json_and_has_no_colours_in_a_file() {
        let text = captured(LogFormat::Pretty, || info!(count = 3, "done"));
        assert!(text.contains("done") && text.contains("count: 3"), "{text}");
        assert!(!text.contains('{') && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_second_set_up_is_an_error_and_not_a_panic() {
        let quiet = TelemetryConfig {
            filter: "off".to_owned(),
            ..config(LogFormat::Json)
        };
        // Another test of this process may have come first; the second call here never does.
        let _ = init(&quiet);
        assert!(matches!(init(&quiet), Err(TelemetryError::AlreadySet(_))));
    }

    #[test]
    fn a_bad_filter_is_an_error() {
        let bad = TelemetryConfig {
            filter: "rolecall=loud".to_owned(),
            ..config(LogFormat::Json)
        };
        assert!(matches!(
            subscriber(&bad, CapturedLogs::default()),
            Err(TelemetryError::Filter(_))
        ));
    }
}
