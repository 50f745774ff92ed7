{{/*
What every name begins with. Releases may be named with dots, a digit first, and 53 characters;
Services may not, and a StatefulSet's pods carry its name with 11 more characters in a label of at
most 63: 40 + "-postgresql" + 11 are 62.
*/}}
{{- define "detsweep.fullname" -}}
{{- $name := .Values.fullnameOverride | default (.Release.Name | replace "." "-") -}}
{{- if regexMatch "^[0-9]" $name -}}
{{- $name = printf "detsweep-%s" $name -}}
{{- end -}}
{{- $name | trunc 40 | trimAll "-" -}}
{{- end }}

{{/* What every pod of the release has, and no pod of another one. */}}
{{- define "detsweep.releaseLabels" -}}
app.kubernetes.io/name: detsweep-storage
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* What Services and policies find pods by. Call with (list $ "component"). */}}
{{- define "detsweep.selectorLabels" -}}
{{ include "detsweep.releaseLabels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "detsweep.labels" -}}
{{- $root := index . 0 -}}
{{ include "detsweep.selectorLabels" . }}
app.kubernetes.io/part-of: detsweep
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/*
Labels and annotations of a pod. Call with (list $ "component" annotations), where the annotations are
those that the pod has of its own; a value of the same name wins.
*/}}
{{- define "detsweep.podMetadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "detsweep.selectorLabels" . | nindent 2 }}
  {{- with $root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (deepCopy $root.Values.podAnnotations) (index . 2) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Annotations of a server's pod: what makes it start again when its Secret has changed, the container
whose log is meant, and that an autoscaler leaves the node while the pod is there. A drain moves it.
*/}}
{{- define "detsweep.serverAnnotations" -}}
{{- $root := index . 0 -}}
detsweep.io/secret: {{ include "detsweep.secretVersion" . | quote }}
kubectl.kubernetes.io/default-container: {{ index . 2 }}
cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
{{- end }}

{{- define "detsweep.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (printf "%s-storage" (include "detsweep.fullname" .)) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{/* What every pod has in common. Call with (list $ uid). */}}
{{- define "detsweep.pod" -}}
{{- $root := index . 0 -}}
{{- $uid := index . 1 -}}
serviceAccountName: {{ include "detsweep.serviceAccount" $root | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- if not (kindIs "invalid" $uid) }}
  runAsUser: {{ int64 $uid }}
  runAsGroup: {{ int64 $uid }}
  fsGroup: {{ int64 $uid }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* What every container has in common. Call with (list $ image resources). */}}
{{- define "detsweep.container" -}}
image: {{ index . 1 | quote }}
imagePullPolicy: {{ (index . 0).Values.imagePullPolicy }}
resources:
  {{- toYaml (index . 2) | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* A container that sets a server up beside it: its probe and its mounts. See files/stay.sh. */}}
{{- define "detsweep.beside" -}}
startupProbe:
  exec: {command: [test, -e, /tmp/set-up]}
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 600
{{- end }}

{{- define "detsweep.scripts" -}}
name: scripts
configMap:
  name: {{ include "detsweep.fullname" . }}-storage-scripts
  defaultMode: 0555
{{- end }}

{{/* Where a pod may run. Call with the values of its component. */}}
{{- define "detsweep.placement" -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with index $ $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/*
How a StatefulSet replaces its pod. Parallel: a pod that can't start, such as one of an image that
does not exist, is replaced when the set is changed back; OrderedReady would wait for it for ever. It
can't be changed later, so a set that is there keeps what it has. Call with (list $ name).
*/}}
{{- define "detsweep.podManagementPolicy" -}}
{{- $root := index . 0 -}}
{{- $there := lookup "apps/v1" "StatefulSet" $root.Release.Namespace (index . 1) | default dict -}}
{{- dig "spec" "podManagementPolicy" "Parallel" $there -}}
{{- end }}

{{/* The Secret that the chart makes for a component: (list $ "s3"), "postgresql" or "dashboard". */}}
{{- define "detsweep.ownSecret" -}}
{{- printf "%s-%s" (include "detsweep.fullname" (index . 0)) (index . 1) -}}
{{- end }}

{{/* The Secret that a component's credentials are read from. Call as above. */}}
{{- define "detsweep.secret" -}}
{{- (index (index . 0).Values (index . 1)).existingSecret | default (include "detsweep.ownSecret" .) -}}
{{- end }}

{{/*
The data of the Secret that the chart makes for a component, as JSON: made once, since what the
cluster holds wins over new random values. Drawn once in a rendering, and so remembered.
*/}}
{{- define "detsweep.secretData" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
{{- if not (hasKey $values "drawn") -}}
{{- $known := (lookup "v1" "Secret" $root.Release.Namespace (include "detsweep.ownSecret" .)).data | default dict -}}
{{- $data := dict -}}
{{- if eq $component "s3" -}}
{{- $endpoint := printf "http://%s-s3.%s.svc:8333" (include "detsweep.fullname" $root) $root.Release.Namespace -}}
{{- $data = dict
  "AWS_ENDPOINT_URL" ($endpoint | b64enc)
  "AWS_DEFAULT_REGION" ($values.region | b64enc)
  "AWS_REGION" ($values.region | b64enc)
  "AWS_ACCESS_KEY_ID" ($known.AWS_ACCESS_KEY_ID | default (randAlphaNum 20 | upper | b64enc))
  "AWS_SECRET_ACCESS_KEY" ($known.AWS_SECRET_ACCESS_KEY | default (randAlphaNum 40 | b64enc)) -}}
{{- else if eq $component "dashboard" -}}
{{- $data = dict "password" ($known.password | default (randAlphaNum 32 | b64enc)) -}}
{{- else -}}
{{- $data = dict
  "password" ($known.password | default (randAlphaNum 32 | b64enc))
  "postgres-password" (index $known "postgres-password" | default (randAlphaNum 32 | b64enc)) -}}
{{- end -}}
{{- $_ := set $values "drawn" ($data | toJson) -}}
{{- end -}}
{{- $values.drawn -}}
{{- end }}

{{/*
What changes when a component's Secret does. Of a Secret of one's own, whose password may be a weak
one, nothing is shown that a password could be guessed by.
*/}}
{{- define "detsweep.secretVersion" -}}
{{- $root := index . 0 -}}
{{- if (index $root.Values (index . 1)).existingSecret -}}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace (include "detsweep.secret" .) | default dict -}}
{{- printf "%s %s" (include "detsweep.secret" .) (dig "metadata" "resourceVersion" "" $secret) | trim -}}
{{- else -}}
{{- include "detsweep.secretData" . | sha256sum | trunc 16 -}}
{{- end -}}
{{- end }}

{{/* Variables from keys of a Secret. Call with (list name (dict "VARIABLE" "key" …)). */}}
{{- define "detsweep.fromSecret" -}}
{{- $secret := index . 0 -}}
{{- range $variable, $key := index . 1 }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret | quote }}
      key: {{ $key }}
{{- end }}
{{- end }}

{{- define "detsweep.postgresql.host" -}}
{{- if .Values.postgresql.enabled -}}
{{ include "detsweep.fullname" . }}-postgresql
{{- else -}}
{{ .Values.postgresql.external.host }}
{{- end -}}
{{- end }}

{{- define "detsweep.postgresql.port" -}}
{{- if .Values.postgresql.enabled }}5432{{ else }}{{ .Values.postgresql.external.port }}{{ end -}}
{{- end }}

{{/* The URL of the trials' database, without a password. */}}
{{- define "detsweep.postgresql.address" -}}
{{ .Values.postgresql.user }}@{{ include "detsweep.postgresql.host" . }}:{{ include "detsweep.postgresql.port" . }}/{{ .Values.postgresql.database }}
{{- end }}

{{/* The environment of a client of S3 but for AWS_ENDPOINT_URL, for files/s3.sh. */}}
{{- define "detsweep.s3.env" -}}
{{- $secret := include "detsweep.secret" (list . "s3") -}}
{{- include "detsweep.fromSecret" (list $secret (dict "AWS_ACCESS_KEY_ID" "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SECRET_ACCESS_KEY")) | trim }}
- name: AWS_DEFAULT_REGION
  valueFrom:
    secretKeyRef:
      name: {{ $secret | quote }}
      key: AWS_DEFAULT_REGION
      # A Secret of one's own need not have it: then S3_REGION is taken.
      optional: true
- name: S3_REGION
  value: {{ .Values.s3.region | quote }}
- name: S3_SECRET
  value: {{ $secret | quote }}
- name: BUCKET
  value: {{ .Values.s3.bucket | quote }}
{{- end }}
