{{- define "detsweep.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* What Services and policies find pods by. Call with (list $ "component"). */}}
{{- define "detsweep.selectorLabels" -}}
app.kubernetes.io/name: detsweep-storage
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
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

{{- define "detsweep.podLabels" -}}
{{ include "detsweep.selectorLabels" . }}
{{- with (index . 0).Values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What every pod has in common. Call with (list $ uid). */}}
{{- define "detsweep.pod" -}}
{{- $root := index . 0 -}}
{{- $uid := index . 1 -}}
serviceAccountName: {{ include "detsweep.fullname" $root }}-storage
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
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

{{- define "detsweep.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
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

{{- define "detsweep.s3.secret" -}}
{{- .Values.s3.existingSecret | default (printf "%s-s3" (include "detsweep.fullname" .)) -}}
{{- end }}

{{- define "detsweep.postgresql.secret" -}}
{{- .Values.postgresql.existingSecret | default (printf "%s-postgresql" (include "detsweep.fullname" .)) -}}
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

{{/* The environment of a client of S3. */}}
{{- define "detsweep.s3.env" -}}
{{- range list "AWS_ENDPOINT_URL" "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ include "detsweep.s3.secret" $ }}
      key: {{ . }}
{{- end }}
- name: AWS_DEFAULT_REGION
  value: {{ .Values.s3.region | quote }}
- name: BUCKET
  value: {{ .Values.s3.bucket | quote }}
{{- end }}

{{/* What files/setup-database.sh creates. */}}
{{- define "detsweep.postgresql.setupEnv" -}}
- name: DETSWEEP_USER
  value: {{ .Values.postgresql.user | quote }}
- name: DETSWEEP_DATABASE
  value: {{ .Values.postgresql.database | quote }}
- name: DETSWEEP_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "detsweep.postgresql.secret" . }}
      key: password
{{- end }}

{{/* The environment of a client of PostgreSQL. Call with (list $ user database key-of-the-password). */}}
{{- define "detsweep.postgresql.env" -}}
{{- $root := index . 0 -}}
- name: PGHOST
  value: {{ include "detsweep.postgresql.host" $root | quote }}
- name: PGPORT
  value: {{ include "detsweep.postgresql.port" $root | quote }}
- name: PGUSER
  value: {{ index . 1 | quote }}
- name: PGDATABASE
  value: {{ index . 2 | quote }}
- name: PGCONNECT_TIMEOUT
  value: "10"
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "detsweep.postgresql.secret" $root }}
      key: {{ index . 3 }}
{{- end }}
