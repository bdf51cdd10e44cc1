//! What the server says of itself while it runs: its log, and traces for a collector if there is one.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::field::Field;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, field::MakeExt as _};

use crate::failure::Advised;

/// What the last spans get to reach the collector.
const FLUSH: Duration = Duration::from_secs(5);

/// The traces of this process, if they go anywhere.
#[derive(Debug)]
pub(crate) struct Traces(Option<SdkTracerProvider>);

/// Starts to log to stderr, and to send traces to the collector at `otlp`.
pub(crate) fn start(filter: &str, json: bool, otlp: Option<&str>) -> anyhow::Result<Traces> {
    let traces = Traces::to(otlp)?;
    let wanted = wanted(filter)?;
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let log = if json {
        log.json().boxed()
    } else {
        // Fields that rename a span for its trace say nothing that its line does not.
        let fields = debug_fn(|to: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
            match field.name() {
                "message" => write!(to, "{value:?}"),
                name if name.starts_with("otel.") => Ok(()),
                name => write!(to, "{name}={value:?}"),
            }
        });
        let fields = fields.delimited(" ");
        log.fmt_fields(fields).with_ansi(io::stderr().is_terminal()).boxed()
    };
    let subscriber =
        tracing_subscriber::registry().with(log.with_filter(wanted)).with(traces.layer());
    subscriber.try_init().map_err(|error| anyhow::anyhow!("setting up the log: {error}"))?;
    Ok(traces)
}

/// What is logged: what is asked for, and who was given the memory of processes, whatever that is.
fn wanted(filter: &str) -> anyhow::Result<EnvFilter> {
    let wanted = EnvFilter::try_new(filter).map_err(|error| {
        Advised::usage(
            format!("log filter {filter:?}: {error}"),
            "it is of the form info,pagevault_server=debug",
        )
    })?;
    Ok(wanted.add_directive("audit=info".parse()?))
}

impl Traces {
    /// To a collector, by OTLP over HTTP. Its variables (`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`,
    /// `OTEL_EXPORTER_OTLP_HEADERS`, …) are heeded.
    fn to(collector: Option<&str>) -> anyhow::Result<Self> {
        let Some(collector) = collector else { return Ok(Self(None)) };
        if !collector.starts_with("http://") {
            let what = format!("traces cannot be sent to {collector:?}");
            let hint = "a collector is reached over plain HTTP: http://127.0.0.1:4318";
            return Err(Advised::usage(what, hint).into());
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", collector.trim_end_matches('/')))
            .build()?;
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            // Sends from a thread of its own. What has no room while nobody takes it is dropped.
            .with_batch_exporter(exporter)
            .build();
        Ok(Self(Some(provider)))
    }

    fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = self.0.as_ref()?.tracer("pagevault");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false);
        Some(layer.with_threads(false).with_tracked_inactivity(false).with_filter(ours()))
    }

    /// Sends what is left.
    pub(crate) async fn flush(self) {
        let Some(provider) = self.0 else { return };
        let ended =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last traces are lost");
        }
    }
}

/// Our own spans, whatever is logged; not those of the client that sends them.
fn ours() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(|about| {
        about.target().starts_with("pagevault") && *about.level() <= tracing::Level::INFO
    })
}

fn resource() -> Resource {
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => resource.build(),
        None => resource.with_service_name("pagevault").build(),
    }
}
