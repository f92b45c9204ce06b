//! `onitu status` for a person.

use std::fmt::Write as _;

use onitu_core::status::{ProcessStatus, ServiceStatus, Status, TransferStatus};

use crate::cli::render::{Align, Paint, bytes, counted, number, plain, seconds, state_word, table};
use crate::cli::verify::how_far;

/// Most problems that are shown of each service.
const PROBLEMS_SHOWN_MAX: usize = 5;

/// Everything, ending in a newline.
pub(super) fn render(status: &Status, paint: Paint) -> String {
    let parts = [
        services(status, paint),
        summary(status),
        transfers(status, paint),
        verifying(status, paint),
        unable(status, paint),
        problems(status, paint),
        processes(status, paint),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn services(status: &Status, paint: Paint) -> String {
    if status.services.is_empty() {
        return "no services are configured\n".to_owned();
    }
    let columns = [Align::Left, Align::Left, Align::Left, Align::Right, Align::Right, Align::Left];
    let heading = ["SERVICE", "DRIVER", "STATE", "FILES", "PENDING", "REASON"];
    let mut rows = vec![heading.map(|word| paint.heading(word)).to_vec()];
    for service in &status.services {
        rows.push(vec![
            plain(&service.name),
            plain(&service.driver),
            paint.state(service.state, state_word(service.state)),
            number(service.files),
            number(service.pending),
            service.reason.as_deref().map_or_else(|| progress(service), plain),
        ]);
    }
    table(&columns, &rows)
}

/// What a service without a reason is doing.
fn progress(service: &ServiceStatus) -> String {
    use onitu_core::status::ServiceState::Scanning;
    match service.state {
        Scanning => format!("{} so far", counted(service.scanned, "path")),
        _ => service.quota_bytes.map_or_else(String::new, |quota| {
            format!("{} of {} used", bytes(service.used_bytes), bytes(quota))
        }),
    }
}

fn summary(status: &Status) -> String {
    let pending = match status.pending {
        0 => "nothing pending".to_owned(),
        count => format!("{} pending", counted(count, "change")),
    };
    let conflicts = match status.conflicts {
        0 => "no conflicts".to_owned(),
        count => format!("{} (see `onitu conflicts`)", counted(count, "conflict")),
    };
    format!(
        "{}, {pending}, {conflicts}, metadata {}\n",
        counted(status.entries, "path"),
        bytes(status.redis.used_memory_bytes)
    )
}

fn transfers(status: &Status, paint: Paint) -> String {
    let mut rows = Vec::new();
    for service in &status.services {
        rows.extend(service.transfers.iter().map(|transfer| transfer_row(service, transfer)));
    }
    if rows.is_empty() {
        return String::new();
    }
    let columns =
        [Align::Left, Align::Left, Align::Right, Align::Right, Align::Right, Align::Right];
    format!("{}\n{}", paint.heading("TRANSFERS"), table(&columns, &rows))
}

fn transfer_row(service: &ServiceStatus, transfer: &TransferStatus) -> Vec<String> {
    let percent = u128::from(transfer.done_bytes) * 100 / u128::from(transfer.size_bytes.max(1));
    vec![
        plain(transfer.path.as_str()),
        format!("{} → {}", plain(&transfer.from), plain(&service.name)),
        format!("{percent} %"),
        format!("of {}", bytes(transfer.size_bytes)),
        format!("{}/s", bytes(transfer.bytes_per_s)),
        transfer.eta_s.map_or_else(String::new, |left| format!("{} left", seconds(left))),
    ]
}

fn verifying(status: &Status, paint: Paint) -> String {
    let mut lines = String::new();
    for service in &status.services {
        if let Some(verify) = service.verify.as_ref().filter(|verify| !verify.is_over()) {
            let _ = writeln!(lines, "{}: {}", plain(&service.name), how_far(verify));
        }
    }
    if lines.is_empty() { lines } else { format!("{}\n{lines}", paint.heading("VERIFYING")) }
}

/// What no time brings to a service.
fn unable(status: &Status, paint: Paint) -> String {
    let mut lines = String::new();
    for service in status.services.iter().filter(|service| service.unable > 0) {
        let (name, count) = (plain(&service.name), counted(service.unable, "path"));
        let _ = writeln!(lines, "{name}: {count} (`onitu explain PATH` says why)");
    }
    if lines.is_empty() { lines } else { format!("{}\n{lines}", paint.heading("CAN'T BE KEPT")) }
}

fn problems(status: &Status, paint: Paint) -> String {
    let mut lines = String::new();
    for problem in status.problems.iter().take(PROBLEMS_SHOWN_MAX) {
        let _ = writeln!(lines, "{}: {}", plain(&problem.path), plain(&problem.message));
    }
    for service in &status.services {
        let shown = service.problems.iter().take(PROBLEMS_SHOWN_MAX);
        for problem in shown.clone() {
            let (path, message) = (plain(&problem.path), plain(&problem.message));
            let _ = writeln!(lines, "{}: {path}: {message}", plain(&service.name));
        }
        let more = service.problems_total.saturating_sub(shown.len() as u64);
        if more > 0 {
            let _ = writeln!(lines, "{}: {} more", plain(&service.name), number(more));
        }
    }
    if lines.is_empty() { lines } else { format!("{}\n{lines}", paint.heading("PROBLEMS")) }
}

/// Processes that had to be started again, or don't run. Drivers tell of themselves above.
fn processes(status: &Status, paint: Paint) -> String {
    let in_trouble = status.processes.iter().filter(|process| {
        !process.name.starts_with("driver-") && (process.pid.is_none() || process.restarts > 0)
    });
    let lines: String = in_trouble.map(process_line).collect();
    if lines.is_empty() { lines } else { format!("{}\n{lines}", paint.heading("PROCESSES")) }
}

fn process_line(process: &ProcessStatus) -> String {
    let now = if process.pid.is_some() { "running" } else { "not running" };
    let restarts = match process.restarts {
        0 => String::new(),
        1 => ", restarted once".to_owned(),
        count => format!(", restarted {} times", number(count)),
    };
    let exit = process
        .last_exit
        .as_deref()
        .map_or_else(String::new, |exit| format!("; last ended: {}", plain(exit)));
    format!("{}: {now}{restarts}{exit}\n", plain(&process.name))
}

#[cfg(test)]
mod tests;
