package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// startDeadline is generous: a cold page cache on a busy machine with two cores needs a part of it.
const startDeadline = 2 * time.Minute

// Ready is the line that tells the caller where everything is.
type Ready struct {
	Server               string            `json:"server"`
	Directory            string            `json:"directory"`
	CertificateAuthority string            `json:"certificateAuthority"`
	Kubeconfigs          map[string]string `json:"kubeconfigs"`
	Tokens               map[string]string `json:"tokens"`
	AuditLog             string            `json:"auditLog,omitempty"`
}

// supervise runs a control plane until the caller goes away, then ends its parts in the order
// controllers, API server, etcd: an API server whose etcd has gone first does not end by itself.
func supervise(options Options) (err error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go cancelWithCaller(cancel)

	directory, remove, err := prepareDirectory(options.Directory)
	if err != nil {
		return err
	}
	defer remove()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the API server: %w", err)
	}
	plan, err := writeFiles(directory, listener.Addr().(*net.TCPAddr), options)
	if err != nil {
		return err
	}

	etcd, err := startEtcd(directory)
	if err != nil {
		return err
	}
	defer etcd.Close()
	server, err := startPart(directory, apiServerPart, apiServerArguments(plan), listener, cancel)
	if err != nil {
		return err
	}
	defer server.stop()
	controllers := []*part{}
	defer func() { stopAll(controllers) }()

	starting, stopStarting := context.WithTimeoutCause(ctx, startDeadline, fmt.Errorf("not ready after %s", startDeadline))
	defer stopStarting()
	clients, err := waitForServer(starting, plan.ready.Kubeconfigs[administrator])
	if err != nil {
		return explain(directory, ctx, err)
	}
	for _, name := range []string{controllerManagerPart, schedulerPart} {
		controller, err := startPart(directory, name, controllerArguments(plan, name), nil, cancel)
		if err != nil {
			return err
		}
		controllers = append(controllers, controller)
	}
	if err := simulateNode(starting, ctx, directory, plan.ready.Kubeconfigs[nodeUser], clients); err != nil {
		return explain(directory, ctx, err)
	}
	if err := waitForControllers(starting, clients); err != nil {
		return explain(directory, ctx, err)
	}

	if err := json.NewEncoder(os.Stdout).Encode(plan.ready); err != nil {
		return fmt.Errorf("tell the caller: %w", err)
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); cause != errCallerGone {
		return explain(directory, ctx, cause)
	}
	return nil
}

var errCallerGone = fmt.Errorf("the caller has gone")

// cancelWithCaller ends the run when standard input closes, which the kernel does for a caller that
// was killed, or when a signal asks for it.
func cancelWithCaller(cancel context.CancelCauseFunc) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel(errCallerGone)
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel(errCallerGone)
}

func prepareDirectory(wanted string) (directory string, remove func(), err error) {
	if wanted == "" {
		directory, err = os.MkdirTemp("", "controlplane-")
		return directory, func() { _ = os.RemoveAll(directory) }, err
	}
	directory, err = filepath.Abs(wanted)
	if err != nil {
		return "", nil, err
	}
	return directory, func() {}, os.MkdirAll(directory, 0o700)
}

// explain adds the ends of the parts' logs to an error: the folder is gone when the caller reads it.
func explain(directory string, ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == errCallerGone {
		return nil
	}
	for _, name := range []string{apiServerPart, controllerManagerPart, schedulerPart} {
		err = fmt.Errorf("%w\n--- %s\n%s", err, name, logTail(directory, name))
	}
	return err
}
