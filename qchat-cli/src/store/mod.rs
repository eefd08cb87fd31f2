//! One encrypted database per profile: everything this device remembers.
