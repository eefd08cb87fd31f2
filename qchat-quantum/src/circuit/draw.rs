//! Circuits as a drawing of lines and boxes for a terminal.

use super::{Circuit, OneQubit, Operation, TwoQubit};

impl Circuit {
    /// One line a qubit that is used, time from left to right; steps that do not wait for one another share a column.
    /// A measurement shows the classical bit that it fills.
    pub fn draw(&self) -> String {
        let mut used: Vec<usize> = self.operations.iter().flat_map(Operation::qubits).collect();
        used.sort_unstable();
        used.dedup();
        let row = |qubit: usize| used.partition_point(|&other| other < qubit);

        // Two rows a qubit: its line, and the gap below it, in which gates on two qubits are connected.
        let mut cells: Vec<Vec<String>> = Vec::new();
        let mut free = vec![0; used.len()];
        for operation in &self.operations {
            let (first, last) =
                operation.qubits().map(row).fold((usize::MAX, 0), |(a, b), n| (a.min(n), b.max(n)));
            let column = free[first..=last].iter().copied().max().unwrap_or(0);
            free[first..=last].fill(column + 1);
            if cells.len() <= column {
                cells.push(vec![String::new(); 2 * used.len()]);
            }
            let cells = &mut cells[column];
            match *operation {
                Operation::One(gate, qubit) => cells[2 * row(qubit)] = label(gate),
                Operation::Reset(qubit) => "|0⟩".clone_into(&mut cells[2 * row(qubit)]),
                Operation::Measure { qubit, bit } => cells[2 * row(qubit)] = format!("M→{bit}"),
                Operation::Two(gate, a, b) => {
                    for (n, cell) in cells[2 * first + 1..2 * last].iter_mut().enumerate() {
                        (if n % 2 == 0 { "│" } else { "┼" }).clone_into(cell);
                    }
                    let (control, target) = match gate {
                        TwoQubit::Cx => ("●", "⊕"),
                        TwoQubit::Cz => ("●", "●"),
                        TwoQubit::Ecr => ("E0", "E1"),
                    };
                    control.clone_into(&mut cells[2 * row(a)]);
                    target.clone_into(&mut cells[2 * row(b)]);
                }
            }
        }

        let sign = if self.physical { "$" } else { "q" };
        let names: Vec<String> = used.iter().map(|qubit| format!("{sign}{qubit}")).collect();
        let widest = names.iter().map(String::len).max().unwrap_or(0);
        let widths: Vec<usize> = cells
            .iter()
            .map(|column| column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for line in 0..(2 * used.len()).saturating_sub(1) {
            let (wire, name) = if line % 2 == 0 { ('─', names[line / 2].as_str()) } else { (' ', "") };
            let mut drawn = format!("{name:>widest$} {wire}");
            for (column, width) in cells.iter().zip(&widths) {
                let cell = &column[line];
                let missing = width - cell.chars().count();
                drawn.extend(std::iter::repeat_n(wire, missing / 2));
                drawn.push_str(cell);
                drawn.extend(std::iter::repeat_n(wire, missing - missing / 2 + 1));
            }
            text.push_str(drawn.trim_end());
            text.push('\n');
        }
        text
    }
}

fn label(gate: OneQubit) -> String {
    match gate {
        OneQubit::Rx(angle) | OneQubit::Ry(angle) | OneQubit::Rz(angle) => {
            format!("{}({angle:.2})", gate.name())
        }
        OneQubit::Sdg => "S†".to_owned(),
        OneQubit::Sx => "√X".to_owned(),
        _ => gate.name().to_uppercase(),
    }
}
