#!/usr/bin/env python3
"""Holds the simulators and the estimators of entropy against independent programs. Not a part of CI.

Circuits: `pip install stim qiskit qiskit-aer qiskit-qasm3-import`. Each circuit goes to Aer, and to Stim where all its gates are
Clifford, as the OpenQASM 3 that qchat writes; outcomes are compared by a chi-squared test of homogeneity. Noise is Aer's own:
depolarisation, thermal relaxation and readout errors. Speed is that of a row of 20 entangled qubits, 1,024 shots, on one thread each.

Entropy: NIST's SP800-90B_EntropyAssessment, built (`make non_iid` in its cpp/), whose sample files both are given.

    cargo build --release -p qchat-quantum --example compare
    contrib/compare-quantum.py circuits target/release/examples/compare
    contrib/compare-quantum.py speed target/release/examples/compare
    contrib/compare-quantum.py entropy target/release/examples/compare SP800-90B_EntropyAssessment
"""

import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

# The chance that a right simulator fails one of all comparisons.
ALPHA = 1e-3


# As circuits are written: the noise goes by them.
NAMED = ["h", "x", "y", "z", "s", "sdg", "sx", "rx", "ry", "rz", "cx", "cz", "ecr"]


def chi_squared(one: dict, two: dict) -> tuple[float, int]:
    """The statistic for two tables of counts, and its degrees of freedom; rare outcomes are taken together."""
    keys = sorted(set(one) | set(two), key=lambda key: -(one.get(key, 0) + two.get(key, 0)))
    rows, rest = [], [0, 0]
    for key in keys:
        pair = [one.get(key, 0), two.get(key, 0)]
        if sum(pair) >= 20:
            rows.append(pair)
        else:
            rest = [rest[0] + pair[0], rest[1] + pair[1]]
    if sum(rest):
        rows.append(rest)
    totals = [sum(row[side] for row in rows) for side in (0, 1)]
    statistic = 0.0
    for row in rows:
        for side in (0, 1):
            expected = sum(row) * totals[side] / sum(totals)
            statistic += (row[side] - expected) ** 2 / expected
    return statistic, len(rows) - 1


def tail(statistic: float, freedom: int) -> float:
    """P(χ² ≥ statistic), by Wilson and Hilferty."""
    if freedom == 0:
        return 1.0
    z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    return math.erfc(z / math.sqrt(2)) / 2


def clifford(circuit):
    """The circuit for Stim, or None; outcomes are its measurements, sorted into the classical bits."""
    import stim

    turns = {0: [], 1: ["S"], 2: ["Z"], 3: ["S_DAG"]}
    names = {"h": ["H"], "x": ["X"], "y": ["Y"], "z": ["Z"], "s": ["S"], "sdg": ["S_DAG"], "sx": ["SQRT_X"], "sxdg": ["SQRT_X_DAG"], "cx": ["CX"], "cz": ["CZ"]}
    ours, bits = stim.Circuit(), []
    for step in circuit.data:
        qubits = [circuit.find_bit(qubit).index for qubit in step.qubits]
        name = step.operation.name
        if name == "measure":
            bits.append(circuit.find_bit(step.clbits[0]).index)
            ours.append("M", qubits)
        elif name == "reset":
            ours.append("R", qubits)
        elif name in names:
            for gate in names[name]:
                ours.append(gate, qubits)
        elif name == "rz":
            quarter = float(step.operation.params[0]) / (math.pi / 2)
            if abs(quarter - round(quarter)) > 1e-9:
                return None
            for gate in turns[round(quarter) % 4]:
                ours.append(gate, qubits)
        else:
            return None
    return ours, bits


def parsed(qasm: str):
    """A circuit by Qiskit's own reader, which knows logical qubits alone: the device's become those."""
    from qiskit import qasm3

    logical = re.sub(r"\$(\d+)", r"q[\1]", qasm)
    if logical != qasm:
        logical = logical.replace("bit[", "qubit[8] q;\nbit[", 1)
    return qasm3.loads(logical)


def noisy(noise: dict):
    """Aer's model of it: after each gate depolarisation, and what is forgotten while it lasts."""
    from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error, thermal_relaxation_error

    model = NoiseModel()
    forgotten = [thermal_relaxation_error(noise["t1"], noise["t2"], noise[time]) for time in ("one_time", "two_time")]
    single = depolarizing_error(noise["one"], 1).compose(forgotten[0])
    double = depolarizing_error(noise["two"], 2).compose(forgotten[1].expand(forgotten[1]))
    model.add_all_qubit_quantum_error(single, ["h", "x", "y", "z", "s", "sdg", "sx", "rx", "ry"])
    model.add_all_qubit_quantum_error(double, ["cx", "cz", "ecr"])
    one, zero = noise["one_for_zero"], noise["zero_for_one"]
    model.add_all_qubit_readout_error(ReadoutError([[1 - one, one], [zero, 1 - zero]]))
    return model


def circuits(program: str) -> int:
    """Compares; gives how many comparisons failed."""
    from qiskit import transpile
    from qiskit_aer import AerSimulator

    lines = subprocess.run([program, "circuits"], check=True, capture_output=True, text=True).stdout.splitlines()
    compared = []
    for line in lines:
        ours = json.loads(line)
        circuit = parsed(ours["qasm"])
        noise = ours["noise"]
        aer = AerSimulator(noise_model=noisy(noise)) if noise else AerSimulator()
        ready = transpile(circuit, basis_gates=NAMED, optimization_level=0) if noise else transpile(circuit, aer, optimization_level=0)
        result = aer.run(ready, shots=ours["shots"], seed_simulator=5).result()
        others = [("Aer", result.get_counts())]
        if not noise and (translated := clifford(circuit.decompose("ecr"))) is not None:
            stim, bits = translated
            counts: dict = {}
            for shot in stim.compile_sampler(seed=5).sample(ours["shots"]):
                digits = ["0"] * circuit.num_clbits
                for bit, value in zip(bits, shot):
                    digits[-1 - bit] = "1" if value else "0"
                key = "".join(digits)
                counts[key] = counts.get(key, 0) + 1
            others.append(("Stim", counts))
        for name, counts in others:
            statistic, freedom = chi_squared(ours["counts"], counts)
            compared.append((f"{ours['name']}, {ours['with']}, {name}", statistic, freedom, tail(statistic, freedom)))
    failed = 0
    for what, statistic, freedom, p in compared:
        bad = p < ALPHA / len(compared)
        failed += bad
        print(f"{'FAIL' if bad else 'ok  '} {what}: chi2 {statistic:.2f} of {freedom}, p {p:.3f}")
    print(f"{len(compared)} comparisons, {failed} failed, the least p {min(p for *_, p in compared):.4f}")
    return failed


def speed(program: str) -> int:
    """Compares; gives whether Aer takes less than four times as long."""
    from qiskit import transpile
    from qiskit_aer import AerSimulator

    alone = {**os.environ, "RAYON_NUM_THREADS": "1"}
    ours = json.loads(subprocess.run([program, "speed"], check=True, capture_output=True, text=True, env=alone).stdout)
    aer = AerSimulator(method="statevector", max_parallel_threads=1)
    ready = transpile(parsed(ours["qasm"]), aer, optimization_level=0)
    theirs = math.inf
    for seed in range(20):
        begun = time.perf_counter()
        aer.run(ready, shots=ours["shots"], seed_simulator=seed).result()
        theirs = min(theirs, time.perf_counter() - begun)
    ratio = theirs / ours["seconds"]
    print(f"qchat {1e3 * ours['seconds']:.2f} ms, Aer {1e3 * theirs:.1f} ms: {ratio:.0f} times as long")
    return int(ratio < 4)


NAMES = {
    "Most Common Value": "most_common_value", "Collision": "collision", "Markov": "markov", "Compression": "compression",
    "t-Tuple": "t_tuple", "LRS": "lrs", "MultiMCW Prediction": "multi_mcw", "Lag Prediction": "lag",
    "MultiMMC Prediction": "multi_mmc", "LZ78Y Prediction": "lz78y",
}


def entropy(program: str, nist: Path) -> int:
    """Compares; gives how many estimates differ by more than 0.01 bit."""
    failed, count, worst = 0, 0, 0.0
    for file in sorted((nist / "bin").glob("*.bin")):
        theirs = subprocess.run([str(nist / "cpp" / "ea_non_iid"), "-vv", str(file)], check=True, capture_output=True, text=True)
        ours = json.loads(subprocess.run([program, "entropy", str(file)], check=True, capture_output=True, text=True).stdout)
        found = re.findall(r"^(Literal|Bitstring) (.*) Estimate: min entropy = (\S+)$", theirs.stdout, re.MULTILINE)
        # Estimates of the bits of symbols that have several are none of ours.
        wanted = {NAMES[name]: float(value) for kind, name, value in found if kind == "Literal" and name in NAMES}
        for name, value in wanted.items():
            if ours[name] is None and name == "compression" and file.stat().st_size < 12_000:
                # On purpose: 2,000 blocks of six bits are the fewest that say anything.
                print(f"{file.name}: compression left out of so few bits, theirs {value:.4f}")
                continue
            if ours[name] is None:
                print(f"FAIL {file.name} {name}: none, theirs {value:.4f}")
                failed += 1
                continue
            difference = abs(ours[name] - value)
            count, worst = count + 1, max(worst, difference)
            if difference > 0.01:
                failed += 1
                print(f"FAIL {file.name} {name}: {ours[name]:.6f}, theirs {value:.6f}")
        print(f"{file.name}: {len(wanted)} estimates compared", flush=True)
    print(f"{count} estimates, {failed} failed, the largest difference {worst:.2e} bit")
    return failed


def main() -> None:
    match sys.argv[1:]:
        case ["circuits", program]:
            failed = circuits(program)
        case ["speed", program]:
            failed = speed(program)
        case ["entropy", program, nist]:
            failed = entropy(program, Path(nist))
        case _:
            sys.exit(__doc__)
    sys.exit(1 if failed else 0)


main()
