#!/usr/bin/env python3
"""A small CRI client, run inside the node: what the kubelet asks of containerd, by hand.

  cri.py pull REF                                    prints the image's id
  cri.py run POD NAMESPACE CONTAINER REF [ARG...]    a pod of one container; a checkpoint image is restored
  cri.py checkpoint CONTAINER_ID PATH
  cri.py status CONTAINER_ID                         prints state, restored or not, log path: one a line
  cri.py rm POD                                      stops and removes the pod
  cri.py rmi REF
"""
import os
import sys
import uuid

sys.path.insert(0, "/opt/cri")
import grpc
import api_pb2 as p
import api_pb2_grpc as g

channel = grpc.insecure_channel("unix:///run/containerd/containerd.sock")
runtime, images = g.RuntimeServiceStub(channel), g.ImageServiceStub(channel)

# The host's network: the registry and the test's own connections are on loopback.
NAMESPACES = p.NamespaceOption(network=p.NODE, pid=p.CONTAINER, ipc=p.POD)


def sandbox_config(pod, namespace, uid):
    return p.PodSandboxConfig(
        metadata=p.PodSandboxMetadata(name=pod, namespace=namespace, uid=uid),
        log_directory=f"/var/log/pods/{namespace}_{pod}_{uid}",
        linux=p.LinuxPodSandboxConfig(
            security_context=p.LinuxSandboxSecurityContext(namespace_options=NAMESPACES)))


def container_config(pod, namespace, uid, name, ref, args, hosts):
    return p.ContainerConfig(
        metadata=p.ContainerMetadata(name=name),
        image=p.ImageSpec(image=ref),
        args=args,
        log_path=f"{name}/0.log",
        labels={"io.kubernetes.pod.name": pod, "io.kubernetes.pod.namespace": namespace,
                "io.kubernetes.container.name": name, "io.kubernetes.pod.uid": uid},
        annotations={"io.kubernetes.container.hash": "0"},
        mounts=[p.Mount(container_path="/etc/hosts", host_path=hosts)],
        linux=p.LinuxContainerConfig(
            resources=p.LinuxContainerResources(oom_score_adj=1000),
            security_context=p.LinuxContainerSecurityContext(namespace_options=NAMESPACES)))


def run(pod, namespace, name, ref, *args):
    uid = str(uuid.uuid4())
    sandbox = sandbox_config(pod, namespace, uid)
    # What the kubelet prepares before it asks.
    hosts = f"/var/lib/kubelet/pods/{uid}/etc-hosts"
    os.makedirs(f"{sandbox.log_directory}/{name}")
    os.makedirs(os.path.dirname(hosts))
    with open(hosts, "w") as f:
        f.write("127.0.0.1 localhost\n")
    sandbox_id = runtime.RunPodSandbox(p.RunPodSandboxRequest(config=sandbox)).pod_sandbox_id
    container = runtime.CreateContainer(p.CreateContainerRequest(
        pod_sandbox_id=sandbox_id, sandbox_config=sandbox,
        config=container_config(pod, namespace, uid, name, ref, args, hosts))).container_id
    runtime.StartContainer(p.StartContainerRequest(container_id=container))
    print(container)


def status(container):
    s = runtime.ContainerStatus(p.ContainerStatusRequest(container_id=container)).status
    print(p.ContainerState.Name(s.state))
    print("restored" if s.annotations.get("restored") == "true" else "fresh")
    print(s.log_path)


def remove_pod(pod):
    for s in runtime.ListPodSandbox(p.ListPodSandboxRequest()).items:
        if s.metadata.name == pod:
            runtime.StopPodSandbox(p.StopPodSandboxRequest(pod_sandbox_id=s.id))
            runtime.RemovePodSandbox(p.RemovePodSandboxRequest(pod_sandbox_id=s.id))


def main():
    match sys.argv[1:]:
        case ["pull", ref]:
            print(images.PullImage(p.PullImageRequest(image=p.ImageSpec(image=ref))).image_ref)
        case ["run", pod, namespace, name, ref, *args]:
            run(pod, namespace, name, ref, *args)
        case ["checkpoint", container, path]:
            runtime.CheckpointContainer(p.CheckpointContainerRequest(container_id=container, location=path, timeout=60))
        case ["status", container]:
            status(container)
        case ["rm", pod]:
            remove_pod(pod)
        case ["rmi", ref]:
            images.RemoveImage(p.RemoveImageRequest(image=p.ImageSpec(image=ref)))
        case _:
            sys.exit(__doc__)


try:
    main()
except grpc.RpcError as e:
    sys.exit(f"{e.code().name}: {e.details()}")
