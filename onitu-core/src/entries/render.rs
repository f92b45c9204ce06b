//! Problems as a person reads them: message, place, the line with carets, hints.

use std::fmt::Write as _;

use annotate_snippets::renderer::{DEFAULT_HELP_STYLE, DEFAULT_TERM_WIDTH};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Severity};

/// All problems as one text, an empty line between two. `source` is the text of the configuration;
/// a problem in another file carries that file's text itself.
pub fn render(problems: &[Diagnostic], source: &str, color: bool) -> String {
    let texts: Vec<String> = problems.iter().map(|it| render_one(it, source, color)).collect();
    texts.join("\n")
}

fn render_one(problem: &Diagnostic, source: &str, color: bool) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let renderer = if color { Renderer::styled().hyperlink(false) } else { Renderer::plain() };
    let title = level.primary_title(problem.message.as_str());
    let text = renderer.term_width(DEFAULT_TERM_WIDTH).render(&[place(title, problem, source)]);
    let mut lines = text.lines();
    let mut shown = lines.next().unwrap_or_default().to_owned();
    shown.push('\n');
    for line in lines {
        // One column more than the renderer's own form, as `docs/configuration.md` shows it.
        let _ = writeln!(shown, " {line}");
    }
    for hint in &problem.hints {
        let style =
            if color { DEFAULT_HELP_STYLE } else { annotate_snippets::renderer::Style::new() };
        let _ = writeln!(shown, "{style}hint{style:#}: {hint}");
    }
    shown
}

fn place<'a>(
    title: annotate_snippets::Title<'a>,
    problem: &'a Diagnostic,
    source: &'a str,
) -> Group<'a> {
    let source = problem.source.as_deref().unwrap_or(source);
    let file = problem.file.to_string_lossy();
    let Some(span) = problem.span.clone() else {
        return if file.is_empty() {
            Group::with_title(title)
        } else {
            title.element(Origin::path(file))
        };
    };
    let label = (!problem.label.is_empty()).then_some(problem.label.as_str());
    let also = problem.also.iter().map(|mark| {
        let label = (!mark.label.is_empty()).then_some(mark.label.as_str());
        AnnotationKind::Context.span(mark.span.clone()).label(label)
    });
    let snippet = Snippet::source(source)
        .path(file.into_owned())
        .annotation(AnnotationKind::Primary.span(span).label(label))
        .annotations(also);
    title.element(snippet)
}
