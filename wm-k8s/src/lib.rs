//! Runs workloads as Kubernetes Jobs.
