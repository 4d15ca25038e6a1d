select * from read_parquet('{{ env_var("MISSION_HOME") }}/data_lake/bronze/bronze_gpu_specs.parquet')
