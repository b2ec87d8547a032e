"""Create a bucket at the store that AWS_ENDPOINT_URL names, unless it is there: `python make_bucket.py distil`."""

import sys

import boto3


def main(bucket: str) -> None:
    """Create the bucket, or leave it as it is."""
    client = boto3.client("s3")
    if bucket not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=bucket)


if __name__ == "__main__":
    main(sys.argv[1])
