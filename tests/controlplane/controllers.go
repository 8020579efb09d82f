package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/cli"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const (
	controllerManagerPart = "kube-controller-manager"
	schedulerPart         = "kube-scheduler"
)

func runControllerManager(arguments []string) int {
	command := controllermanager.NewControllerManagerCommand()
	command.SetArgs(arguments)
	return cli.Run(command)
}

func runScheduler(arguments []string) int {
	command := scheduler.NewSchedulerCommand()
	command.SetArgs(arguments)
	return cli.Run(command)
}

func controllerArguments(plan *plan, name string) []string {
	arguments := []string{
		"--kubeconfig=" + plan.ready.Kubeconfigs["system:"+name],
		// At the default of 20 a second, 1,000 Deployments take the controller manager 200 s.
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--leader-elect=false",
		// Serves nothing, so needs no port.
		"--secure-port=0",
	}
	if name == controllerManagerPart {
		arguments = append(arguments,
			"--use-service-account-credentials=true",
			"--service-account-private-key-file="+plan.files.serviceAccountKey,
			"--root-ca-file="+plan.ready.CertificateAuthority,
			// The simulated node's heartbeat may come late on a busy machine.
			"--node-monitor-grace-period=10m",
		)
	}
	return arguments
}

// waitForControllers waits until a namespace has its service account, without which no pod is let
// in: the last thing that the controller manager does before the control plane is of use.
func waitForControllers(ctx context.Context, clients kubernetes.Interface) error {
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		_, err := clients.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the controllers: %w", context.Cause(ctx))
	}
	return nil
}

// pollInterval is short: a run of tests waits for every one of these.
const pollInterval = 25 * time.Millisecond
