// SPDX-License-Identifier: GPL-3.0-or-later
//! What was measured, as a table for people and as JSON for later comparison.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

/// One row: round trips of one kind to one server.
pub(crate) struct Row {
    /// What was measured, in words.
    pub(crate) name: &'static str,
    /// Each round trip, sorted.
    sorted: Vec<Duration>,
    /// What the median should be at most, in milliseconds.
    target_ms: Option<f64>,
}

impl Row {
    /// A row of these round trips, at least one.
    pub(crate) fn new(name: &'static str, mut times: Vec<Duration>, target_ms: Option<f64>) -> Self {
        times.sort_unstable();
        Self { name, sorted: times, target_ms }
    }

    /// The time that `share` (0..1) of the round trips took at most, in milliseconds.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = (share * (self.sorted.len() - 1) as f64).round() as usize;
        self.sorted[index].as_secs_f64() * 1e3
    }

    /// Requests in a second, one after another.
    fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss)]
        let count = self.sorted.len() as f64;
        count / self.sorted.iter().sum::<Duration>().as_secs_f64()
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "round_trips": self.sorted.len(), "p50_ms": self.quantile_ms(0.5),
            "p99_ms": self.quantile_ms(0.99), "requests_per_second": self.per_second(), "target_p50_ms": self.target_ms,
        })
    }
}

/// Prints the rows, each with its ratio to `base`, and keeps them under `benches/runs/<date>-<machine>/`.
pub(crate) fn publish(workspace: &Path, benchmark: &str, rows: &[Row], base: &str, notes: &Value) -> Result<()> {
    let base_ms = rows.iter().find(|row| row.name == base).map_or(f64::NAN, |row| row.quantile_ms(0.5));
    println!("{:<58} {:>9} {:>9} {:>11} {:>10} {:>9}", "", "p50 ms", "p99 ms", "requests/s", "ratio", "target");
    for row in rows {
        let (p50, p99) = (row.quantile_ms(0.5), row.quantile_ms(0.99));
        let target = row
            .target_ms
            .map_or(String::new(), |target| format!("{target} {}", if p50 <= target { "ok" } else { "OVER" }));
        let (per_second, ratio) = (row.per_second(), p50 / base_ms);
        println!("{:<58} {p50:>9.3} {p99:>9.3} {per_second:>11.0} {ratio:>10.2} {target:>9}", row.name);
    }
    println!("ratio: p50 over that of \"{base}\"");
    let machine = format!(
        "{}-{}-{}-cores",
        std::env::consts::OS,
        std::env::consts::ARCH,
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    let folder = workspace.join(format!("benches/runs/{}-{machine}", jiff::Zoned::now().date()));
    fs_err::create_dir_all(&folder)?;
    let path = folder.join(format!("{benchmark}.json"));
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    let kept = json!({"benchmark": benchmark, "machine": machine, "setup": notes, "base": base, "rows": rows});
    fs_err::write(&path, serde_json::to_string_pretty(&kept)? + "\n")?;
    println!("{}", path.display());
    Ok(())
}
