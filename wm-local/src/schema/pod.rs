//! Pods and their templates. Below rarely used fields nothing is checked.

use super::{
    Struct, Type, field_type,
    meta::{LABEL_SELECTOR, LOCAL_OBJECT_REFERENCE, OBJECT_META},
    structures,
};

structures! {
    POD "Pod" { kind: string, apiVersion: string, metadata: OBJECT_META, spec: POD_SPEC, status: {any} }
    POD_TEMPLATE_SPEC "PodTemplateSpec" { metadata: OBJECT_META, spec: POD_SPEC }
    POD_SPEC "PodSpec" {
        volumes: [VOLUME], initContainers: [CONTAINER], containers: [CONTAINER], ephemeralContainers: any,
        restartPolicy: string, terminationGracePeriodSeconds: int64, activeDeadlineSeconds: int64, dnsPolicy: string,
        nodeSelector: {string}, serviceAccountName: string, serviceAccount: string,
        automountServiceAccountToken: bool, nodeName: string, hostNetwork: bool, hostPID: bool, hostIPC: bool,
        shareProcessNamespace: bool, securityContext: POD_SECURITY_CONTEXT, imagePullSecrets: [LOCAL_OBJECT_REFERENCE],
        hostname: string, subdomain: string, affinity: AFFINITY, schedulerName: string, tolerations: [TOLERATION],
        hostAliases: [HOST_ALIAS], priorityClassName: string, priority: int32, dnsConfig: DNS_CONFIG,
        readinessGates: any, runtimeClassName: string, enableServiceLinks: bool, preemptionPolicy: string,
        overhead: {quantity}, topologySpreadConstraints: [TOPOLOGY_SPREAD_CONSTRAINT], setHostnameAsFQDN: bool,
        os: any, hostUsers: bool, schedulingGates: any, resourceClaims: any, resources: RESOURCE_REQUIREMENTS,
        hostnameOverride: string, workloadRef: any,
    }
    CONTAINER "Container" {
        name: string, image: string, command: [string], args: [string], workingDir: string, ports: [CONTAINER_PORT],
        envFrom: [ENV_FROM_SOURCE], env: [ENV_VAR], resources: RESOURCE_REQUIREMENTS, resizePolicy: any,
        restartPolicy: string, restartPolicyRules: any, volumeMounts: [VOLUME_MOUNT], volumeDevices: any,
        livenessProbe: any, readinessProbe: any, startupProbe: any, lifecycle: any, terminationMessagePath: string,
        terminationMessagePolicy: string, imagePullPolicy: string, securityContext: SECURITY_CONTEXT, stdin: bool,
        stdinOnce: bool, tty: bool,
    }
    CONTAINER_PORT "ContainerPort" {
        name: string, hostPort: int32, containerPort: int32, protocol: string, hostIP: string,
    }
    ENV_VAR "EnvVar" { name: string, value: string, valueFrom: ENV_VAR_SOURCE }
    ENV_VAR_SOURCE "EnvVarSource" {
        fieldRef: OBJECT_FIELD_SELECTOR, resourceFieldRef: RESOURCE_FIELD_SELECTOR, configMapKeyRef: KEY_SELECTOR,
        secretKeyRef: KEY_SELECTOR, fileKeyRef: any,
    }
    OBJECT_FIELD_SELECTOR "ObjectFieldSelector" { apiVersion: string, fieldPath: string }
    RESOURCE_FIELD_SELECTOR "ResourceFieldSelector" { containerName: string, resource: string, divisor: quantity }
    KEY_SELECTOR "KeySelector" { name: string, key: string, optional: bool }
    ENV_FROM_SOURCE "EnvFromSource" { prefix: string, configMapRef: ENV_SOURCE, secretRef: ENV_SOURCE }
    ENV_SOURCE "EnvSource" { name: string, optional: bool }
    RESOURCE_REQUIREMENTS "ResourceRequirements" { limits: {quantity}, requests: {quantity}, claims: any }
    VOLUME_MOUNT "VolumeMount" {
        name: string, readOnly: bool, recursiveReadOnly: string, mountPath: string, subPath: string,
        mountPropagation: string, subPathExpr: string,
    }
    VOLUME "Volume" {
        name: string, hostPath: any, emptyDir: EMPTY_DIR, gcePersistentDisk: any, awsElasticBlockStore: any,
        gitRepo: any, secret: SECRET_VOLUME, nfs: any, iscsi: any, glusterfs: any,
        persistentVolumeClaim: CLAIM_VOLUME, rbd: any, flexVolume: any, cinder: any, cephfs: any, flocker: any,
        downwardAPI: {any}, fc: any, azureFile: any, configMap: CONFIG_MAP_VOLUME, vsphereVolume: any, quobyte: any,
        azureDisk: any, photonPersistentDisk: any, projected: {any}, portworxVolume: any, scaleIO: any, storageos: any,
        csi: any, ephemeral: any, image: any,
    }
    EMPTY_DIR "EmptyDirVolumeSource" { medium: string, sizeLimit: quantity }
    SECRET_VOLUME "SecretVolumeSource" { secretName: string, items: [KEY_TO_PATH], defaultMode: int32, optional: bool }
    CONFIG_MAP_VOLUME "ConfigMapVolumeSource" { name: string, items: [KEY_TO_PATH], defaultMode: int32, optional: bool }
    KEY_TO_PATH "KeyToPath" { key: string, path: string, mode: int32 }
    CLAIM_VOLUME "PersistentVolumeClaimVolumeSource" { claimName: string, readOnly: bool }
    POD_SECURITY_CONTEXT "PodSecurityContext" {
        seLinuxOptions: any, windowsOptions: any, runAsUser: int64, runAsGroup: int64, runAsNonRoot: bool,
        supplementalGroups: [int64], supplementalGroupsPolicy: string, fsGroup: int64, sysctls: any,
        fsGroupChangePolicy: string, seccompProfile: SECCOMP_PROFILE, appArmorProfile: any, seLinuxChangePolicy: string,
    }
    SECURITY_CONTEXT "SecurityContext" {
        capabilities: CAPABILITIES, privileged: bool, seLinuxOptions: any, windowsOptions: any, runAsUser: int64,
        runAsGroup: int64, runAsNonRoot: bool, readOnlyRootFilesystem: bool, allowPrivilegeEscalation: bool,
        procMount: string, seccompProfile: SECCOMP_PROFILE, appArmorProfile: any,
    }
    SECCOMP_PROFILE "SeccompProfile" { type: string, localhostProfile: string }
    CAPABILITIES "Capabilities" { add: [string], drop: [string] }
    AFFINITY "Affinity" { nodeAffinity: any, podAffinity: any, podAntiAffinity: any }
    TOLERATION "Toleration" {
        key: string, operator: string, value: string, effect: string, tolerationSeconds: int64,
    }
    HOST_ALIAS "HostAlias" { ip: string, hostnames: [string] }
    DNS_CONFIG "PodDNSConfig" { nameservers: [string], searches: [string], options: any }
    TOPOLOGY_SPREAD_CONSTRAINT "TopologySpreadConstraint" {
        maxSkew: int32, topologyKey: string, whenUnsatisfiable: string, labelSelector: LABEL_SELECTOR,
        minDomains: int32, nodeAffinityPolicy: string, nodeTaintsPolicy: string, matchLabelKeys: [string],
    }
}
