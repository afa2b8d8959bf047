"""The commands of the reference, one a task."""

# Script, family of the model, flags; `F` is the folder of the sample files.
COMMANDS = {
    "glue": ("run_flax_glue", "distilbert",
             "--train_file F/MRPC/train.csv --validation_file F/MRPC/dev.csv "
             "--per_device_train_batch_size 2 --per_device_eval_batch_size 1 --learning_rate 1e-4 "
             "--eval_steps 2 --warmup_steps 2 --seed 42 --max_seq_length 128"),
    "clm": ("run_clm_flax", "gpt2",
            "--train_file F/sample_text.txt --validation_file F/sample_text.txt --do_train "
            "--do_eval --block_size 128 --per_device_train_batch_size 4 "
            "--per_device_eval_batch_size 4 --num_train_epochs 2 --logging_steps 2 --eval_steps 2 "
            "--overwrite_output_dir"),
    "summarization": ("run_summarization_flax", "t5",
                      "--train_file F/xsum/sample.json --validation_file F/xsum/sample.json "
                      "--test_file F/xsum/sample.json --overwrite_output_dir --num_train_epochs 3 "
                      "--warmup_steps 8 --do_train --do_eval --do_predict --learning_rate 2e-4 "
                      "--per_device_train_batch_size 2 --per_device_eval_batch_size 1 "
                      "--predict_with_generate"),
    "mlm": ("run_mlm_flax", "roberta",
            "--train_file F/sample_text.txt --validation_file F/sample_text.txt "
            "--overwrite_output_dir --max_seq_length 128 --per_device_train_batch_size 4 "
            "--per_device_eval_batch_size 4 --logging_steps 2 --eval_steps 2 --do_train --do_eval "
            "--num_train_epochs=1"),
    "t5_mlm": ("run_t5_mlm_flax", "t5",
               "--train_file F/sample_text.txt --validation_file F/sample_text.txt --do_train "
               "--do_eval --max_seq_length 128 --per_device_train_batch_size 4 "
               "--per_device_eval_batch_size 4 --num_train_epochs 2 --logging_steps 2 "
               "--eval_steps 2 --overwrite_output_dir"),
    "ner": ("run_flax_ner", "bert",
            "--train_file F/conll/sample.json --validation_file F/conll/sample.json "
            "--overwrite_output_dir --do_train --do_eval --warmup_steps 2 --learning_rate=2e-4 "
            "--logging_steps 2 --eval_steps 2 --per_device_train_batch_size 2 "
            "--per_device_eval_batch_size 2 --num_train_epochs 2 --seed 7"),
    "qa": ("run_qa", "bert",
           "--version_2_with_negative --train_file F/SQUAD/sample.json "
           "--validation_file F/SQUAD/sample.json --overwrite_output_dir --num_train_epochs 3 "
           "--warmup_steps 2 --do_train --do_eval --logging_steps 2 --eval_steps 2 "
           "--learning_rate 2e-4 --per_device_train_batch_size 2 --per_device_eval_batch_size 1"),
    "speech": ("run_flax_speech_recognition_seq2seq", "whisper",
               "--dataset_name D --dataset_config clean --train_split_name validation "
               "--eval_split_name validation --trust_remote_code --overwrite_output_dir "
               "--num_train_epochs 2 --max_train_samples 10 --max_eval_samples 10 "
               "--warmup_steps 8 --do_train --do_eval --learning_rate 2e-4 "
               "--per_device_train_batch_size 2 --per_device_eval_batch_size 1 "
               "--predict_with_generate"),
}  # fmt: skip
