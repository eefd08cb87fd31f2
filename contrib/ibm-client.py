#!/usr/bin/env python3
"""Runs IBM's own client against the stand-in for the service, to see that both mean the same by its interface.

Needs `pip install qiskit-ibm-runtime` and a running stand-in:

    cargo run --bin qchat-fake-ibm &
    contrib/ibm-client.py http://127.0.0.1:8475

It uses the layer below the primitives, which would first list the account's instances and then send QPY; qchat sends
OpenQASM 3. Not a part of CI.
"""

import json
import os
import sys
import time

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8475"
KEY = "fake-api-key_wYl7Yk0sJ4"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/fake:0d5e-1::"

os.environ["IAM_URL"] = ADDRESS

from ibm_quantum_schemas.executor.version_2_0 import ParamsModel, QuantumProgramResultModel  # noqa: E402
from qiskit import QuantumCircuit, qasm3, transpile  # noqa: E402
from qiskit_ibm_runtime.api.client import RuntimeClient  # noqa: E402
from qiskit_ibm_runtime.api.client_parameters import ClientParameters  # noqa: E402
from qiskit_ibm_runtime.ibm_backend import IBMBackend  # noqa: E402
from qiskit_ibm_runtime.utils.backend_decoder import configuration_from_server_data  # noqa: E402

# What qchat writes for a random bit and a pair, word for word.
OURS = """OPENQASM 3.0;
include "stdgates.inc";
bit[2] c;
sx $7;
rz(1.5707963267948966) $7;
sx $6;
rz(1.5707963267948966) $6;
cz $7, $6;
c[0] = measure $7;
rz(1.5707963267948966) $6;
sx $6;
c[1] = measure $6;
"""


def run(api: RuntimeClient, program: str, params: dict) -> dict:
    """Submits a job, waits for it, finds it by its tag, and gives its results."""
    tag = f"qchat-python-{os.urandom(8).hex()}"
    job = api.program_run(program, "ibm_fake", params, None, None, None, job_tags=[tag])["id"]
    while (state := api.job_get(job)["state"])["status"] in ("Queued", "Running"):
        time.sleep(0.1)
    assert state["status"] == "Completed", state
    assert [found["id"] for found in api.jobs_get(job_tags=[tag])["jobs"]] == [job]
    return json.loads(api.job_results(job))


def main() -> None:
    parameters = ClientParameters(
        "ibm_quantum_platform", KEY, ADDRESS, CRN, url_resolver=lambda *_: f"{ADDRESS}/api/v1"
    )
    api = RuntimeClient(parameters)
    print("backends", [backend["name"] for backend in api.list_backends()])
    configuration = configuration_from_server_data(raw_config=api.backend_configuration("ibm_fake"))
    backend = IBMBackend(configuration, service=None, api_client=api)
    assert backend.status().operational and backend.properties().t1(0) > 0
    assert backend.target.instruction_supported("cz", (3, 4))

    bell = QuantumCircuit(2, 2)
    bell.h(0)
    bell.cx(0, 1)
    bell.measure([0, 1], [0, 1])
    lowered = transpile(bell, backend=backend, initial_layout=[3, 4], optimization_level=1, seed_transpiler=1)
    for text in (qasm3.dumps(lowered), OURS):
        qasm3.loads(text)
        params = {"pubs": [[text, None, 1000]], "version": 2, "support_qiskit": False, "options": {}}
        samples = run(api, "sampler", params)["results"][0]["data"]["c"]["samples"]
        assert set(samples) == {"0x0", "0x3"} and len(samples) == 1000, set(samples)

    params = {
        "schema_version": "v2.0",
        "quantum_program": {
            "shots": 1000,
            "circuits": {"data": [OURS]},
            "items": [
                {
                    "item_type": "circuit",
                    "circuit_arguments": {"data": "eJwDAAAAAAE=", "shape": [0], "dtype": "f64"},
                    "shape": [],
                    "chunk_size": "auto",
                }
            ],
            "meas_level": "classified",
        },
        "options": {"init_qubits": True},
    }
    ParamsModel.model_validate(params).quantum_program.circuits.to_python()
    result = QuantumProgramResultModel.model_validate(run(api, "executor", params))
    bits = result.data[0].results["c"].to_numpy()
    assert bits.shape == (1000, 2) and (bits[:, 0] == bits[:, 1]).all() and 400 < bits[:, 0].sum() < 600

    usage = api.cloud_usage()
    print("usage", usage["usage_consumed_seconds"], "of", usage["usage_limit_seconds"], "seconds")
    assert usage["usage_consumed_seconds"] > 0
    print("both mean the same")


if __name__ == "__main__":
    main()
