//! An embedded Kubernetes API whose pods are processes of this machine.
