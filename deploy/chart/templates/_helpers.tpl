{{/* Labels of every object. The selector is the first of them. */}}
{{- define "sealift.selector" -}}
app.kubernetes.io/name: sealift
{{- end }}

{{- define "sealift.labels" -}}
{{ include "sealift.selector" . }}
app.kubernetes.io/part-of: argocd
{{- end }}

{{/* The names are those of Argo CD Image Updater, whose place is taken. */}}
{{- define "sealift.name" -}}
argocd-image-updater-controller
{{- end }}

{{- define "sealift.argocd" -}}
{{ .Values.argocdNamespace | default .Release.Namespace }}
{{- end }}

{{- define "sealift.subject" -}}
subjects:
- kind: ServiceAccount
  name: {{ include "sealift.name" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* What is watched where Applications are, and what policies there are. */}}
{{- define "sealift.rules" -}}
- apiGroups: [argoproj.io]
  resources: [applications]
  verbs: [get, list, watch, patch]
{{- end }}

{{- define "sealift.updaters" -}}
- apiGroups: [argocd-image-updater.argoproj.io]
  resources: [imageupdaters]
  verbs: [get, list, watch, patch]
- apiGroups: [argocd-image-updater.argoproj.io]
  resources: [imageupdaters/status]
  verbs: [patch]
{{- end }}

{{- define "sealift.all" -}}
{{- if has "*" .Values.watchNamespaces }}true{{ end }}
{{- end }}
