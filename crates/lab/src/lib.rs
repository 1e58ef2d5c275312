//! Experiments: specification, admission, run, faults, observation, verdict and report.
