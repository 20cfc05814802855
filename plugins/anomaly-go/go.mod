module anomaly

go 1.24

require wasmill v0.0.0

require go.yaml.in/yaml/v3 v3.0.6 // indirect

replace wasmill => ../../sdk/go
