//! What to do about the codes of IBM's registry (<https://quantum.cloud.ibm.com/docs/errors>), as far as they concern what is
//! asked of the service here: circuits, shots, backends, jobs, the account. Those of pulses, bookings and passwords do not.

use std::fmt;

/// What helps against a refusal or a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The circuit is none of the device's as it is now.
    Circuit,
    /// The device cannot be had, or not for this.
    Backend,
    /// Fewer shots or circuits.
    Smaller,
    /// More of them.
    Larger,
    /// Fewer jobs at a time.
    FewerJobs,
    /// Something went wrong at IBM's.
    Later,
    /// The service is being looked after.
    Maintenance,
    /// Who asks is not known.
    Key,
    /// The terms of use wait to be accepted.
    Terms,
    /// Who asks may not.
    Rights,
    /// The job is not in a state for this.
    State,
    /// The request is not as the service wants it.
    Request,
}

/// Codes with what helps, in order.
const REGISTRY: &[(u32, Remedy)] = {
    use Remedy::{
        Backend, Circuit, FewerJobs, Key, Larger, Later, Maintenance, Request, Rights, Smaller, State, Terms,
    };
    &[
        (1000, Later),
        (1001, Smaller),
        (1002, Circuit),
        (1003, Circuit),
        (1004, Backend),
        (1005, Circuit),
        (1006, Later),
        (1007, Backend),
        (1008, Later),
        (1009, Backend),
        (1010, Later),
        (1011, Later),
        (1012, FewerJobs),
        (1101, Circuit),
        (1102, Smaller),
        (1103, Smaller),
        (1104, Backend),
        (1105, Circuit),
        (1106, Circuit),
        (1107, Circuit),
        (1109, Backend),
        (1208, Request),
        (1305, Smaller),
        (1500, Later),
        (1517, Circuit),
        (1520, Smaller),
        (1999, Maintenance),
        (2000, Backend),
        (2002, Backend),
        (2304, Circuit),
        (2305, Circuit),
        (2313, Circuit),
        (2400, Later),
        (2402, FewerJobs),
        (2403, Request),
        (2404, Later),
        (2405, Later),
        (2407, Key),
        (2408, Key),
        (2409, Rights),
        (2410, Rights),
        (2411, Rights),
        (2412, Later),
        (2600, Backend),
        (2602, Backend),
        (2603, Later),
        (2604, Later),
        (2609, Backend),
        (2614, Backend),
        (2615, Backend),
        (2616, Backend),
        (2618, Circuit),
        (2620, Backend),
        (2622, Backend),
        (2907, Backend),
        (2911, Rights),
        (3200, Backend),
        (3202, Later),
        (3203, Later),
        (3204, Later),
        (3207, Rights),
        (3208, Later),
        (3209, State),
        (3210, Later),
        (3211, Circuit),
        (3212, Later),
        (3213, Later),
        (3214, State),
        (3215, Request),
        (3216, Request),
        (3218, Smaller),
        (3220, Request),
        (3226, Circuit),
        (3229, Circuit),
        (3233, Later),
        (3234, Later),
        (3235, Later),
        (3236, Larger),
        (3237, Circuit),
        (3239, Circuit),
        (3242, Smaller),
        (3243, Smaller),
        (3245, Backend),
        (3246, Backend),
        (3248, Smaller),
        (3249, Request),
        (3250, State),
        (3251, Later),
        (3253, Later),
        (3254, State),
        (3259, Backend),
        (3265, Backend),
        (3300, Later),
        (3301, Later),
        (3302, State),
        (3400, Terms),
        (3402, Key),
        (3407, Key),
        (3440, Key),
        (3443, Later),
        (3444, Terms),
        (3445, Key),
        (3446, Key),
        (3452, Terms),
        (3453, Terms),
        (3458, FewerJobs),
        (3460, Rights),
        (3467, Later),
        (3468, Later),
        (3500, Request),
        (3704, Later),
        (3811, Request),
        (4001, State),
        (5201, Smaller),
        (5202, State),
        (5203, Later),
        (5204, Later),
        (6000, Smaller),
        (6001, Larger),
        (6002, Smaller),
        (6003, Larger),
        (7000, Circuit),
        (7001, Circuit),
        (7003, Circuit),
        (7004, Circuit),
        (7005, Circuit),
        (7006, Circuit),
        (8001, Circuit),
        (8006, Circuit),
        (8007, Circuit),
        (8008, Circuit),
        (8013, Circuit),
        (8014, Circuit),
        (8020, Smaller),
        (8031, Smaller),
        (9701, Later),
        (9999, Later),
    ]
};

impl Remedy {
    /// What helps against a code; `None` for one that is not in the registry, or is not about anything that is asked for here.
    pub fn of(code: u32) -> Option<Self> {
        let at = REGISTRY.binary_search_by_key(&code, |&(known, _)| known).ok()?;
        Some(REGISTRY[at].1)
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Circuit => "lower the circuits for this backend as it is calibrated now",
            Self::Backend => {
                "take another backend: qchat quantum backends lists those that the instance may use"
            }
            Self::Smaller => "ask for fewer bits or qubits at a time",
            Self::Larger => "ask for more bits or qubits at a time",
            Self::FewerJobs => "wait until earlier jobs have ended, or cancel some: qchat quantum jobs",
            Self::Later => "try again later; if it stays so, tell IBM's support the code and the trace",
            Self::Maintenance => "wait until the maintenance is over: https://quantum.cloud.ibm.com/status",
            Self::Key => "create another API key at https://cloud.ibm.com/iam/apikeys and store that one",
            Self::Terms => "accept IBM's terms of use at https://quantum.cloud.ibm.com and try again",
            Self::Rights => "ask the owner of the account for a role on the instance",
            Self::State => "look at the job's state: qchat quantum jobs",
            Self::Request => "a newer version of qchat may ask in the way that the service wants",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found() {
        assert!(REGISTRY.is_sorted_by(|(one, _), (next, _)| one < next));
        for &(code, remedy) in REGISTRY {
            assert_eq!(Remedy::of(code), Some(remedy));
        }
        assert_eq!(Remedy::of(1), None);
    }
}
