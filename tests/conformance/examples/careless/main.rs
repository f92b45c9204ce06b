//! A driver's program that ignores what an order expects: for the suite to catch it from outside.

#[path = "../../tests/careless/mod.rs"]
#[allow(dead_code, reason = "one mistake of several")]
mod careless;

fn main() -> std::process::ExitCode {
    onitu_plug::run::<careless::Careless<{ careless::IGNORES_EXPECT }>>()
}
