def test_show(tuned, student, rows, tmp_path):
    from distil_dagster.training.job import PredictJob
    from distil_dagster.training.predict import predict
    from distil_dagster.training.rows import write_rows
    write_rows(tmp_path/'r', rows)
    for a in (tuned, None):
        print([ (x.text,x.finish_reason) for x in predict(PredictJob(model=student, adapter=a, rows=tmp_path/'r', output=tmp_path/'o', max_new_tokens=6))][:9])
