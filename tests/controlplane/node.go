package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	nodeheartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/client"
)

// nodeName is the one node, on which every pod runs.
const nodeName = "node-0"

// podBroken is a stage of our own beside those of kwok: a pod with an image tagged `broken`.
//
//go:embed pod-broken.yaml
var podBroken string

// stages are the steps that kwok takes pods and nodes through.
var stages = []string{
	nodefast.DefaultNodeInit,
	nodeheartbeat.DefaultNodeHeartbeat,
	podfast.DefaultPodReady,
	podfast.DefaultPodComplete,
	podfast.DefaultPodDelete,
	podBroken,
}

// simulateNode plays the kubelet of one node until the run ends, and returns when it is ready.
func simulateNode(
	starting, running context.Context, directory, kubeconfig string, clients kubernetes.Interface,
) error {
	output, err := os.Create(logPath(directory, "node"))
	if err != nil {
		return fmt.Errorf("create the log of the node: %w", err)
	}
	controller, err := newNodeController(kubeconfig)
	if err != nil {
		return fmt.Errorf("set up the node: %w", err)
	}
	if err := controller.Start(log.NewContext(running, log.NewLogger(output, log.LevelWarn))); err != nil {
		return fmt.Errorf("start the node: %w", err)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name:   nodeName,
		Labels: map[string]string{corev1.LabelHostname: nodeName, corev1.LabelOSStable: "linux"},
	}}
	if _, err := clients.CoreV1().Nodes().Create(starting, node, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the node: %w", err)
	}
	return waitForNode(starting, clients)
}

func waitForNode(ctx context.Context, clients kubernetes.Interface) error {
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		node, err := clients.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the node: %w", context.Cause(ctx))
	}
	return nil
}

func newNodeController(kubeconfig string) (*controllers.Controller, error) {
	byResource := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, text := range stages {
		stage, err := config.UnmarshalWithType[*internalversion.Stage](text)
		if err != nil {
			return nil, fmt.Errorf("read a stage: %w", err)
		}
		byResource[stage.Spec.ResourceRef] = append(byResource[stage.Spec.ResourceRef], stage)
	}
	settings := controllers.Config{
		Clock:                         clock.RealClock{},
		ManageAllNodes:                true,
		CIDR:                          "10.244.0.1/16",
		NodeIP:                        "10.0.0.1",
		NodeName:                      nodeName,
		LocalStages:                   byResource,
		NodePlayStageParallelism:      1,
		PodPlayStageParallelism:       4,
		PodsOnNodeSyncParallelism:     1,
		EnablePodsOnNodeSyncListPager: true,
		ID:                            nodeName,
	}
	if err := connect(&settings, kubeconfig); err != nil {
		return nil, err
	}
	return controllers.NewController(settings)
}

// connect fills in the many clients that kwok's controller wants.
func connect(settings *controllers.Config, kubeconfig string) error {
	clientset, err := client.NewClientset("", kubeconfig)
	if err != nil {
		return err
	}
	restConfig, err := clientset.ToRESTConfig()
	if err != nil {
		return err
	}
	settings.ImpersonatingDynamicClient = clientset.ToImpersonatingDynamicClient()
	settings.ImpersonatingTypedClient = clientset.ToImpersonatingTypedClient()
	if settings.DynamicClient, err = clientset.ToDynamicClient(); err != nil {
		return err
	}
	if settings.RESTMapper, err = clientset.ToRESTMapper(); err != nil {
		return err
	}
	if settings.RESTClient, err = rest.RESTClientFor(restConfig); err != nil {
		return err
	}
	if settings.TypedClient, err = kubernetes.NewForConfig(restConfig); err != nil {
		return err
	}
	settings.TypedKwokClient, err = versioned.NewForConfig(restConfig)
	return err
}
