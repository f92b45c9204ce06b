//! Whether this machine has more to do than it can.

use std::sync::OnceLock;

use onitu_core::clock;

/// Whether more threads want to run right now than there are processors. Where that can't be known,
/// and in a simulation, which has no machine: no.
pub(super) fn is_crowded() -> bool {
    static PROCESSORS: OnceLock<Option<usize>> = OnceLock::new();
    if clock::is_simulated() {
        return false;
    }
    let read = |file| std::fs::read_to_string(file).ok();
    let processors = PROCESSORS.get_or_init(|| Some(processors(&read("/proc/stat")?)));
    let running = || running(&read("/proc/loadavg")?);
    processors.zip(running()).is_some_and(|(processors, running)| running > processors)
}

/// Those that `/proc/stat` has a line for.
fn processors(stat: &str) -> usize {
    let is_one = |line: &&str| {
        line.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_digit()))
    };
    stat.lines().filter(is_one).count()
}

/// How many threads run or would if they could, as `/proc/loadavg` tells it.
fn running(loadavg: &str) -> Option<usize> {
    loadavg.split_ascii_whitespace().nth(3)?.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_understood() {
        assert_eq!(processors("cpu  1 2\ncpu0 1 2\ncpu1 0 0\nintr 3\n"), 2);
        assert_eq!(running("0.52 0.58 0.59 3/1234 5678\n"), Some(3));
        assert_eq!(running("nothing"), None);
    }
}
