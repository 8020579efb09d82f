package main

import (
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/cli"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

const apiServerPart = "kube-apiserver"

// listenerDescriptor is the first file that a part gets beside its standard streams.
const listenerDescriptor = 3

// runAPIServer is kube-apiserver's own command, but for the listener, which is the supervisor's: its
// command line can only name a port, and a port found free may be taken before it is used.
func runAPIServer(arguments []string) int {
	settings := options.NewServerRunOptions()
	command := &cobra.Command{
		Use:          apiServerPart,
		SilenceUsage: true,
		RunE:         func(*cobra.Command, []string) error { return serveAPI(settings) },
	}
	for _, set := range settings.Flags().FlagSets {
		command.Flags().AddFlagSet(set)
	}
	command.SetArgs(arguments)
	return cli.Run(command)
}

func serveAPI(settings *options.ServerRunOptions) error {
	listener, err := net.FileListener(os.NewFile(listenerDescriptor, "listener"))
	if err != nil {
		return fmt.Errorf("take over the listener: %w", err)
	}
	settings.SecureServing.Listener = listener
	if err := settings.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	if err := logsapi.ValidateAndApply(settings.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	ctx := genericapiserver.SetupSignalContext()
	completed, err := settings.Complete(ctx)
	if err != nil {
		return err
	}
	if problems := completed.Validate(); len(problems) != 0 {
		return utilerrors.NewAggregate(problems)
	}
	return app.Run(ctx, completed)
}

func apiServerArguments(plan *plan) []string {
	socket := etcdSocket(plan.ready.Directory)
	arguments := []string{
		"--etcd-servers=" + socket.String(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", plan.port),
		"--tls-cert-file=" + plan.files.serverCertificate,
		"--tls-private-key-file=" + plan.files.serverKey,
		"--token-auth-file=" + plan.files.tokens,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + plan.files.serviceAccountKey,
		"--service-account-signing-key-file=" + plan.files.serviceAccountKey,
		// A /24 is full after some 250 services.
		"--service-cluster-ip-range=10.0.0.0/16",
		// The address is a loopback one, which may not stand in an Endpoints object.
		"--endpoint-reconciler-type=none",
		"--allow-privileged=true",
		"--profiling=false",
	}
	if plan.ready.AuditLog != "" {
		arguments = append(arguments,
			"--audit-log-path="+plan.ready.AuditLog,
			"--audit-policy-file="+plan.files.auditPolicy,
			// As it happens, not in batches: a reader sees what has been.
			"--audit-log-mode=blocking",
			"--audit-log-format=json",
		)
	}
	return arguments
}
