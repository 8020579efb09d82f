package main

import (
	"context"
	"crypto/rand"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// User is somebody with a token.
type User struct {
	Name   string
	Groups []string
}

const (
	// administrator may do everything, past all rules.
	administrator = "admin"
	// weirUser is whom Weir runs as: everything by a rule, as in a cluster, and a name of its own
	// in the audit log.
	weirUser = "weir"
	nodeUser = "system:kwok"
)

// standingUsers are in every control plane. Most of the parts have their roles from Kubernetes.
func standingUsers() []User {
	return []User{
		{Name: administrator, Groups: []string{"system:masters"}},
		{Name: weirUser},
		{Name: nodeUser, Groups: []string{"system:masters"}},
		{Name: "system:" + controllerManagerPart},
		{Name: "system:" + schedulerPart},
	}
}

// writeUsers writes the token file for the API server and a kubeconfig for each user.
func writeUsers(plan *plan, users []User) error {
	file, err := os.OpenFile(plan.files.tokens, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	tokens := csv.NewWriter(file)
	for _, user := range users {
		token := rand.Text()
		plan.ready.Tokens[user.Name] = token
		if err := tokens.Write([]string{token, user.Name, user.Name, strings.Join(user.Groups, ",")}); err != nil {
			return err
		}
		path := filepath.Join(plan.ready.Directory, strings.ReplaceAll(user.Name, ":", "-")+".kubeconfig")
		plan.ready.Kubeconfigs[user.Name] = path
		if err := writeKubeconfig(path, plan.ready, user.Name, token); err != nil {
			return err
		}
	}
	tokens.Flush()
	return tokens.Error()
}

func writeKubeconfig(path string, ready Ready, user, token string) error {
	// Inline, so that the file works wherever it is copied to.
	authority, err := os.ReadFile(ready.CertificateAuthority)
	if err != nil {
		return err
	}
	const name = "controlplane"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: ready.Server, CertificateAuthorityData: authority}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, path)
}

// waitForServer waits until the API server says that it is ready, and lets Weir in.
func waitForServer(ctx context.Context, kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.QPS = -1
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("set up a client: %w", err)
	}
	err = wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		_, err := clients.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("wait for the API server: %w", context.Cause(ctx))
	}
	return clients, allowWeir(ctx, clients)
}

func allowWeir(ctx context.Context, clients kubernetes.Interface) error {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "controlplane:" + weirUser},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: weirUser}},
	}
	if _, err := clients.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("let Weir in: %w", err)
	}
	return nil
}
