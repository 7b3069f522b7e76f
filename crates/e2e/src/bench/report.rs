//! What was measured, beside the machine's limit and the target: for people, for machines, for the documentation.

use std::fmt::Write;

use anyhow::Context;
use serde_json::{Value, json};

use crate::bench::stats::{median, ratio};

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// At least this share of the limit.
    ShareOfLimit(f64),
    /// At most this many times the limit.
    TimesLimit(f64),
    /// At most this, whatever the machine can do.
    AtMost(f64),
    /// Told for comparison only.
    None,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was measured.
    pub measure: String,
    /// The unit of its figures.
    pub unit: &'static str,
    /// One figure a run.
    pub ours: Vec<f64>,
    /// What the machine does with nothing else, one figure a run.
    pub limit: Vec<f64>,
    /// What is aimed at.
    pub target: Target,
}

impl Row {
    /// A figure with nothing beside it.
    pub fn new(measure: impl Into<String>, unit: &'static str, ours: Vec<f64>) -> Self {
        Self {
            measure: measure.into(),
            unit,
            ours,
            limit: Vec::new(),
            target: Target::None,
        }
    }

    /// The figure beside the limit of the same runs.
    #[must_use]
    pub fn beside(mut self, limit: Vec<f64>) -> Self {
        self.limit = limit;
        self
    }

    /// The figure held against a target.
    #[must_use]
    pub fn aiming_at(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Whether the target is met; `None` where there is none, or nothing to judge by.
    pub fn is_met(&self) -> Option<bool> {
        let ratio = ratio(&self.ours, &self.limit);
        match self.target {
            Target::ShareOfLimit(share) => Some(ratio? >= share),
            Target::TimesLimit(times) => Some(ratio? <= times),
            Target::AtMost(most) => Some(median(&self.ours)? <= most),
            Target::None => None,
        }
    }

    fn target_text(&self) -> String {
        match self.target {
            Target::ShareOfLimit(share) => format!("≥ {share} of limit"),
            Target::TimesLimit(times) => format!("≤ {times} × limit"),
            Target::AtMost(most) => format!("≤ {}", figure(most)),
            Target::None => String::new(),
        }
    }

    fn cells(&self) -> [String; 6] {
        let text = |value: Option<f64>| value.map(figure).unwrap_or_default();
        let met = match self.is_met() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        [
            format!("{}, {}", self.measure, self.unit),
            text(median(&self.ours)),
            text(median(&self.limit)),
            ratio(&self.ours, &self.limit).map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            self.target_text(),
            met.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "measure": self.measure,
            "unit": self.unit,
            "ours": median(&self.ours),
            "limit": median(&self.limit),
            "ratio": ratio(&self.ours, &self.limit),
            "target": self.target_text(),
            "met": self.is_met(),
            "runs": { "ours": self.ours, "limit": self.limit },
        })
    }
}

const HEADINGS: [&str; 6] = ["measure", "ours", "limit", "ratio", "target", "met"];

/// A Markdown table, aligned so that a terminal shows it well too.
pub fn table(rows: &[Row]) -> String {
    let lines: Vec<[String; 6]> = std::iter::once(HEADINGS.map(str::to_owned))
        .chain(rows.iter().map(Row::cells))
        .collect();
    let mut widths = [0; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for width in widths {
                let _ = write!(text, "|{:-<1$}", "", width + 2);
            }
            text.push_str("|\n");
        }
    }
    text
}

/// Everything, with each run's figures.
pub fn document(about: &Value, rows: &[Row]) -> Value {
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    json!({ "about": about, "rows": rows })
}

const BEGIN: &str = "<!-- figures: begin -->";
const END: &str = "<!-- figures: end -->";

/// The page with the table between its markers renewed.
pub fn put_into(page: &str, about: &Value, rows: &[Row]) -> anyhow::Result<String> {
    let markers = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = markers.with_context(|| format!("the page has no {BEGIN} and {END}"))?;
    let text = |key: &str| match about.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let machine = format!(
        "Measured {} at {}: {} processors ({}), Linux {}, PostgreSQL {}, Redis {}, {}; medians of {} runs.",
        text("date"),
        text("commit"),
        text("processors"),
        text("processor"),
        text("kernel"),
        text("postgres"),
        text("redis"),
        text("rust"),
        text("runs"),
    );
    Ok(format!(
        "{before}{BEGIN}\n{machine}\n\n{}{END}{after}",
        table(rows)
    ))
}

/// Three digits that matter: more would be noise.
fn figure(value: f64) -> String {
    let size = value.abs();
    if size >= 1_000.0 {
        // In whole tens: still more digits than the noise has.
        format!("{:.0}", (value / 10.0).round() * 10.0)
    } else if size >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, limit: f64, target: Target) -> Row {
        Row::new("intake", "/s", vec![ours])
            .beside(vec![limit])
            .aiming_at(target)
    }

    #[test]
    fn a_target_is_met_or_not_by_the_ratio_it_names() {
        let check =
            |ours, target, expected| assert_eq!(row(ours, 100.0, target).is_met(), expected, "{target:?}");
        check(75.0, Target::ShareOfLimit(0.75), Some(true));
        check(74.0, Target::ShareOfLimit(0.75), Some(false));
        check(200.0, Target::TimesLimit(2.0), Some(true));
        check(201.0, Target::TimesLimit(2.0), Some(false));
        check(6.0, Target::AtMost(6.0), Some(true));
        check(6.1, Target::AtMost(6.0), Some(false));
        check(1.0, Target::None, None);
    }

    #[test]
    fn what_was_not_measured_is_not_called_met() {
        assert_eq!(
            Row::new("a", "b", vec![1.0])
                .aiming_at(Target::TimesLimit(2.0))
                .is_met(),
            None
        );
        assert_eq!(
            Row::new("a", "b", Vec::new())
                .aiming_at(Target::AtMost(2.0))
                .is_met(),
            None
        );
    }

    #[test]
    fn the_table_has_a_line_a_row_and_columns_of_one_width() {
        let text = table(&[
            row(80.0, 100.0, Target::ShareOfLimit(0.75)),
            row(5.0, 2.0, Target::TimesLimit(2.0)),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(
            lines
                .iter()
                .all(|line| line.chars().count() == lines[0].chars().count()),
            "{text}"
        );
        assert!(lines[2].contains("0.80") && lines[2].contains("yes"), "{text}");
        assert!(lines[3].contains("2.50") && lines[3].contains("**no**"), "{text}");
    }

    #[test]
    fn a_page_keeps_what_is_around_its_figures() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let about = json!({ "date": "2026-11-21", "runs": 5 });
        let renewed = put_into(&page, &about, &[row(1.0, 2.0, Target::None)]).unwrap();
        assert!(
            renewed.starts_with("before\n") && renewed.ends_with("\nafter\n"),
            "{renewed}"
        );
        assert!(
            renewed.contains("2026-11-21") && renewed.contains("| intake"),
            "{renewed}"
        );
        assert!(!renewed.contains("old"), "{renewed}");
        assert_eq!(
            put_into(&renewed, &about, &[row(1.0, 2.0, Target::None)]).unwrap(),
            renewed
        );
        assert!(put_into("no markers", &about, &[]).is_err());
    }

    #[test]
    fn figures_have_the_digits_that_matter() {
        for (value, text) in [
            (12_345.0, "12350"),
            (456.7, "457"),
            (45.67, "45.7"),
            (4.567, "4.57"),
            (0.0456, "0.046"),
            (6.0, "6"),
        ] {
            assert_eq!(figure(value), text);
        }
    }
}
