//! A table of figures, as text and as JSON.

use anyhow::Context;
use serde_json::{Map, Value, json};

/// One figure.
pub enum Cell {
    Text(String),
    /// A number and its decimals.
    Number(f64, usize),
    /// Not measured, or without meaning here.
    Nothing,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Cell {
    pub fn maybe(number: Option<f64>, decimals: usize) -> Self {
        number.map_or(Self::Nothing, |number| Self::Number(number, decimals))
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number, decimals) => format!("{number:.decimals$}"),
            Self::Nothing => "–".to_owned(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number, _) => json!(number),
            Self::Nothing => Value::Null,
        }
    }
}

/// What a benchmark measured.
pub struct Report {
    name: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    notes: Vec<String>,
}

impl Report {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), columns: Vec::new(), rows: Vec::new(), notes: Vec::new() }
    }

    pub fn columns(&mut self, columns: &[&'static str]) {
        self.columns = columns.to_vec();
    }

    pub fn row(&mut self, cells: Vec<Cell>) {
        assert!(cells.len() == self.columns.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }

    /// Says something now and below the table.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        eprintln!("{}: {text}", self.name);
        self.notes.push(text);
    }

    /// Prints the table; writes `ONITU_BENCH_JSON` if that names a file.
    pub fn show(&self) -> anyhow::Result<()> {
        println!("\n{}\n", self.name);
        let shown: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(Cell::shown).collect()).collect();
        let width = |at: usize| {
            let cells = shown.iter().map(|row| row[at].chars().count());
            cells.chain([self.columns[at].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let names: Vec<String> = self.columns.iter().map(|name| (*name).to_owned()).collect();
        for row in std::iter::once(&names).chain(&shown) {
            println!("{}", line(row, &widths));
        }
        self.notes.iter().for_each(|note| println!("\n{note}"));
        let Ok(path) = std::env::var("ONITU_BENCH_JSON") else { return Ok(()) };
        let rows: Vec<Value> = self.rows.iter().map(|row| self.object(row)).collect();
        let json = json!({ "benchmark": self.name, "rows": rows, "notes": self.notes });
        std::fs::write(&path, format!("{json:#}\n")).with_context(|| format!("writing {path}"))
    }

    fn object(&self, row: &[Cell]) -> Value {
        let pairs = self.columns.iter().zip(row);
        Value::Object(
            pairs.map(|(name, cell)| ((*name).to_owned(), cell.json())).collect::<Map<_, _>>(),
        )
    }
}

/// The first cell to the left, the others to the right.
fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let gap = " ".repeat(width - cell.chars().count());
        let padded = if at == 0 { format!("{cell}{gap}") } else { format!("  {gap}{cell}") };
        line.push_str(&padded);
    }
    line
}
