//! OpenQASM 3 as it is sent to a device: native gates, resets and measurements on `$n`, into registers of bits.

use std::{f64::consts::PI, sync::LazyLock};

use qchat_quantum::circuit::{Builder, Circuit, OneQubit, Operation, TwoQubit};

use super::device::{self, ONE_QUBIT, QUBITS};

/// A circuit, and the name of its register.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    pub(super) circuit: Circuit,
    pub(super) register: String,
}

/// A circuit that is refused: the service's code and sentence.
pub(super) type Refused = (u32, String);

/// The code of circuits that a device cannot run.
const NOT_NATIVE: u32 = 1517;
/// The code of what is no circuit.
const NOT_VALID: u32 = 1003;

fn refuse<T>(code: u32, sentence: impl Into<String>) -> Result<T, Refused> {
    Err((code, sentence.into()))
}

fn unsupported<T>(name: &str, qubits: &[usize]) -> Result<T, Refused> {
    let list: Vec<String> = qubits.iter().map(ToString::to_string).collect();
    let comma = if qubits.len() == 1 { "," } else { "" };
    refuse(
        NOT_NATIVE,
        format!(
            "The instruction {name} on qubits ({}{comma}) is not supported by the target system.",
            list.join(", ")
        ),
    )
}

/// Reads a circuit for the device.
pub(super) fn parse(text: &str) -> Result<Parsed, Refused> {
    let mut register: Option<(String, usize)> = None;
    let mut operations = Vec::new();
    // A gate's definition has statements of its own; it is known by its name.
    let plain = without_definitions(text);
    for statement in plain.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        if statement.starts_with("OPENQASM 3")
            || statement.starts_with("include ")
            || statement.starts_with("barrier")
        {
            continue;
        }
        if let Some(rest) = statement.strip_prefix("bit[") {
            let declared = rest
                .split_once(']')
                .and_then(|(size, name)| Some((name.trim().to_owned(), size.parse().ok()?)));
            match (declared, &register) {
                (Some(declared), None) => register = Some(declared),
                _ => return refuse(NOT_VALID, format!("Invalid declaration: {statement}")),
            }
        } else {
            operations.extend(operation(statement, register.as_ref())?);
        }
    }
    let (register, bits) = register.unwrap_or_default();
    let circuit = operations.into_iter().fold(Circuit::builder(QUBITS, bits), Builder::then).build();
    match circuit {
        Ok(circuit) => Ok(Parsed { circuit, register }),
        Err(error) => refuse(NOT_VALID, error.to_string()),
    }
}

fn without_definitions(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("gate ") {
        kept.push_str(before);
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    kept + rest
}

fn operation(statement: &str, register: Option<&(String, usize)>) -> Result<Option<Operation>, Refused> {
    let invalid = || (NOT_VALID, format!("Invalid statement: {statement}"));
    if let Some((target, source)) = statement.split_once('=') {
        let measured = source.trim().strip_prefix("measure").ok_or_else(invalid)?;
        let (name, bits) = register.ok_or_else(invalid)?;
        let index = target.trim().strip_prefix(name.as_str()).and_then(|index| index.strip_prefix('['));
        let bit = index.and_then(|index| index.strip_suffix(']')?.parse().ok()).filter(|bit| bit < bits);
        let qubit = one(&qubits("measure", measured)?).ok_or_else(invalid)?;
        return Ok(Some(Operation::Measure { qubit, bit: bit.ok_or_else(invalid)? }));
    }
    let (head, operands) = statement.split_once(' ').ok_or_else(invalid)?;
    let (name, angle) = match head.split_once('(') {
        Some((name, angle)) => (name, angle.strip_suffix(')').and_then(number)),
        None => (head, None),
    };
    let qubits = qubits(name, operands)?;
    Ok(match (name, &qubits[..], angle) {
        ("reset", &[qubit], None) => Some(Operation::Reset(qubit)),
        ("rz", &[qubit], Some(angle)) => Some(Operation::One(OneQubit::Rz(angle), qubit)),
        ("sx", &[qubit], None) => Some(Operation::One(OneQubit::Sx, qubit)),
        ("x", &[qubit], None) => Some(Operation::One(OneQubit::X, qubit)),
        ("id", &[_], None) => None,
        ("cz", &[first, second], None) if device::couples(first, second) => {
            Some(Operation::Two(TwoQubit::Cz, first, second))
        }
        (name, qubits, _) => {
            // Its own gates in a form that is none are mistakes of the text.
            if ONE_QUBIT.contains(&name) && *name != *"id" {
                return Err(invalid());
            }
            return unsupported(name, qubits);
        }
    })
}

/// An angle: a number, or a part of π as Qiskit writes it: `-pi/2`, `3*pi/4`.
fn number(text: &str) -> Option<f64> {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let (text, divisor) = match text.split_once('/') {
        Some((text, divisor)) => (text, divisor.parse().ok()?),
        None => (text, 1.0),
    };
    let value = match text.strip_suffix("pi") {
        Some("") => PI,
        Some(factor) => factor.strip_suffix('*')?.parse::<f64>().ok()? * PI,
        None => text.parse::<f64>().ok()?,
    };
    Some(sign * value / divisor)
}

fn one(qubits: &[usize]) -> Option<usize> {
    if let [qubit] = *qubits { Some(qubit) } else { None }
}

/// Physical qubits `$0, $1`, those that the device has.
fn qubits(name: &str, operands: &str) -> Result<Vec<usize>, Refused> {
    static VIRTUAL: LazyLock<String> = LazyLock::new(|| {
        "The circuit is not on the device's qubits; transpile it for the target.".to_owned()
    });
    let mut read = Vec::new();
    for operand in operands.split(',') {
        match operand.trim().strip_prefix('$').map(str::parse::<usize>) {
            Some(Ok(qubit)) => read.push(qubit),
            Some(Err(_)) => return refuse(NOT_VALID, format!("Invalid qubit: {operand}")),
            None => return refuse(NOT_NATIVE, VIRTUAL.clone()),
        }
    }
    if read.iter().any(|&qubit| qubit >= QUBITS) { unsupported(name, &read) } else { Ok(read) }
}

#[cfg(test)]
mod tests {
    use qchat_quantum::circuit::target::Target;

    use super::*;

    #[test]
    fn what_the_crate_writes_is_read_as_it_was() {
        let circuit = Circuit::builder(3, 3).h(0).cx(0, 1).ry(0.3, 2).reset(2).x(2);
        let circuit = circuit.measure(0, 2).measure(1, 0).measure(2, 1).build().expect("a circuit");
        let lowered = circuit.lower(&Target::line(QUBITS)).expect("a line fits");
        let parsed = parse(&lowered.open_qasm()).expect("our own text");
        assert_eq!(parsed.circuit.operations(), lowered.operations());
        assert_eq!((parsed.register.as_str(), parsed.circuit.bits()), ("c", 3));
    }

    #[test]
    fn angles_are_numbers_or_parts_of_pi() {
        for (text, value) in [
            ("0.5", Some(0.5)),
            ("-1e-3", Some(-1e-3)),
            ("pi", Some(PI)),
            ("-pi/2", Some(-PI / 2.0)),
            ("3*pi/4", Some(3.0 * PI / 4.0)),
            ("", None),
            ("pie", None),
            ("2pi", None),
            ("pi/x", None),
        ] {
            assert_eq!(number(text), value, "{text}");
        }
    }

    #[test]
    fn what_the_device_cannot_do_is_refused() {
        for (statement, code, has) in [
            ("h $0", 1517, "instruction h on qubits (0,)"),
            ("cx $0, $1", 1517, "instruction cx on qubits (0, 1)"),
            ("cz $0, $2", 1517, "cz on qubits (0, 2)"),
            ("cz $0, $0", 1517, "cz on qubits (0, 0)"),
            ("ecr $0, $1", 1517, "ecr"),
            ("x $20", 1517, "x on qubits (20,)"),
            ("x q[0]", 1517, "transpile"),
            ("rz(one) $0", 1003, "Invalid statement"),
            ("rz $0", 1003, "Invalid statement"),
            ("c[1] = measure $0", 1003, "Invalid statement"),
            ("d[0] = measure $0", 1003, "Invalid statement"),
            ("x", 1003, "Invalid statement"),
        ] {
            let text = format!("OPENQASM 3.0;\nbit[1] c;\n{statement};\n");
            let (is, sentence) = parse(&text).expect_err(statement);
            assert!(is == code && sentence.contains(has), "{statement}: {is} {sentence}");
        }
    }
}
