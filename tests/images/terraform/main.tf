terraform {
  required_providers {
    random = { source = "hashicorp/random", version = "3.6.0" }
  }
}

module "vpc" {
  source  = "terraform-aws-modules/vpc/aws"
  version = "5.5.1"
}
