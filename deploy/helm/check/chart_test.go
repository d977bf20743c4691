// Package check reads what the chart makes as strictly as a cluster's API does, without a cluster: the file that $CHART
// names, which `make test-deploy` writes.
package check

import (
	"os"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// foreign is what the Prometheus operator defines: only its envelope is looked at.
type foreign struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            map[string]any `json:"spec"`
}

// chart is what was read, by kind and name.
func chart(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(os.Getenv("CHART"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]any{}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var head meta.PartialObjectMetadata
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if head.Kind == "" {
			continue
		}
		object := map[string]any{
			"apps/v1/Deployment": &apps.Deployment{}, "batch/v1/Job": &batch.Job{}, "v1/ConfigMap": &core.ConfigMap{}, "v1/Service": &core.Service{},
			"policy/v1/PodDisruptionBudget": &policy.PodDisruptionBudget{}, "networking.k8s.io/v1/NetworkPolicy": &networking.NetworkPolicy{},
			"monitoring.coreos.com/v1/ServiceMonitor": &foreign{}, "monitoring.coreos.com/v1/PrometheusRule": &foreign{},
		}[head.APIVersion+"/"+head.Kind]
		if object == nil {
			t.Fatalf("a %s of %s is nothing that the chart should make", head.Kind, head.APIVersion)
		}
		if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
			t.Errorf("%s %s: %v", head.Kind, head.Name, err)
		}
		found[head.Kind+"/"+head.Name] = object
	}
	return found
}

func TestChart(t *testing.T) {
	found := chart(t)
	deployment, _ := found["Deployment/kvit"].(*apps.Deployment)
	job, _ := found["Job/kvit-migrate"].(*batch.Job)
	service, _ := found["Service/kvit"].(*core.Service)
	budget, _ := found["PodDisruptionBudget/kvit"].(*policy.PodDisruptionBudget)
	if deployment == nil || job == nil || service == nil || budget == nil || found["NetworkPolicy/kvit"] == nil || found["ConfigMap/kvit"] == nil {
		t.Fatalf("not everything is there: %v", found)
	}
	if *deployment.Spec.Replicas != 2 {
		t.Error("not two replicas")
	}
	labels := deployment.Spec.Template.Labels
	for name, selector := range map[string]map[string]string{
		"deployment": deployment.Spec.Selector.MatchLabels, "service": service.Spec.Selector, "budget": budget.Spec.Selector.MatchLabels,
	} {
		if len(selector) == 0 || !within(selector, labels) {
			t.Errorf("the %s's selector does not find the pods", name)
		}
		if within(selector, job.Spec.Template.Labels) {
			t.Errorf("the %s's selector finds the migration", name)
		}
	}
	hooks := job.Annotations["helm.sh/hook"]
	if hooks != "pre-install,pre-upgrade" {
		t.Errorf("the migration runs at %q", hooks)
	}
	confined(t, "deployment", deployment.Spec.Template.Spec)
	confined(t, "migration", job.Spec.Template.Spec)
	kvit := deployment.Spec.Template.Spec.Containers[0]
	if kvit.LivenessProbe.HTTPGet.Path != "/healthz" || kvit.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Error("probes")
	}
}

func within(some, all map[string]string) bool {
	for key, value := range some {
		if all[key] != value {
			return false
		}
	}
	return true
}

// confined: no root, nothing to write to, nothing of the cluster's, limits.
func confined(t *testing.T, what string, pod core.PodSpec) {
	t.Helper()
	if !*pod.SecurityContext.RunAsNonRoot || *pod.AutomountServiceAccountToken {
		t.Errorf("%s: root, or a token of the cluster's", what)
	}
	for _, c := range pod.Containers {
		s := c.SecurityContext
		if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" {
			t.Errorf("%s: not confined", what)
		}
		if c.Resources.Limits.Memory().IsZero() || len(c.EnvFrom) == 0 {
			t.Errorf("%s: no limits or no secret", what)
		}
	}
}
